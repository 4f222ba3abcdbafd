package handover

import (
	"errors"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// ReceiveWhole is Receive that loses nothing. A message for whose descriptors
// this process has no room stays where it is: it is returned without them and
// without States, with an error matching ErrTruncated, and is the next to be
// received again.
func (c *Conn) ReceiveWhole() (Message, []int, error) {
	return whole(c.receive(c.readWhole))
}

// TryReceiveWhole is ReceiveWhole that does not wait: when there is no message,
// the error matches syscall.EAGAIN.
func (c *Conn) TryReceiveWhole() (Message, []int, error) {
	return whole(c.receive(c.tryReadWhole))
}

func whole(m Message, descriptors []int, err error) (Message, []int, error) {
	if errors.Is(err, ErrTruncated) {
		fdutil.CloseAll(descriptors)
		m.Forget()
		descriptors, m.States = nil, nil
	}
	return m, descriptors, err
}
