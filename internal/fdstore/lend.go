package fdstore

import (
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
	"github.com/heirloom-go/heirloom/notify"
)

// Lend stores a handover socket for the generation after this one, to which the
// Manager does not listen, and returns the end for [Store.Borrow] there. Where
// there is no room for two, this generation's own goes. The error matches
// transfer.ErrNotKept if the store has refused it.
func (s *Store) Lend() (*handover.Conn, error) {
	keep := func(end int) error { return s.keep(end, s.Generation+1) }
	socket, err := transfer.KeepForOther(keep)
	if errors.Is(err, transfer.ErrNotKept) {
		s.Manager.Tell(notify.FDStoreRemove(Name(s.Generation)))
		socket, err = transfer.KeepForOther(keep)
	}
	return socket, err
}

// Borrow queues in a socket that the generation before has stored. The Store
// owns it.
func (s *Store) Borrow(socket *handover.Conn) error {
	q, err := transfer.ContinueQueue(socket, s.Hello, s.keepOwn, s.Owner, s.Log)
	if err != nil {
		return err
	}
	s.Close()
	s.pending, s.opened, s.borrowed, s.unsure = q, time.Now(), true, true
	return nil
}
