package fdstore

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// Lend stores a handover socket for the generation after this one, to which the
// Manager does not listen, and returns the end for [Store.Borrow] there. The
// error matches transfer.ErrNotKept if the store has refused it, or if the
// Manager listens to that generation after all.
func (s *Store) Lend() (*handover.Conn, error) {
	return transfer.KeepForOther(func(end int) error { return s.keep(end, s.Generation+1) })
}

// Borrow queues in a socket that the generation before has stored. The Store
// owns it.
func (s *Store) Borrow(socket *handover.Conn) error {
	q, err := transfer.ContinueQueue(socket, s.Hello, s.keepOwn, s.Owner, s.Log)
	if err != nil {
		return err
	}
	s.Close()
	s.pending, s.opened, s.borrowed = q, time.Now(), true
	return nil
}
