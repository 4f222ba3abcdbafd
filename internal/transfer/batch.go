package transfer

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A SendFunc sends a message and duplicates of descriptors, which stay the
// caller's.
type SendFunc = func(m handover.Message, descriptors ...int) error

// A batch is connections of one endpoint that go in one message.
type batch []conntrack.Conn

func (b batch) endpoint() *conntrack.Endpoint { return b[0].Base().Endpoint }

// messageFor makes the message of connections of e.
func messageFor(e *conntrack.Endpoint) handover.Message {
	m := handover.Message{
		Type: handover.Connections,
		Batch: handover.Batch{
			Listener: e.Name,
			Address:  e.Listener.Addr().String(),
			Stream:   e.Kind == conntrack.Streams,
			TLS:      e.Kind == conntrack.HTTPS,
		},
	}
	if e.Kind == conntrack.SecureStreams {
		m.TLS, m.Listener, m.SecureStream = true, "", e.Name
	}
	return m
}

// send must not wait, see lend. The kernel duplicates the descriptors: until a
// connection is known to have arrived it stays open here.
func (b batch) send(send SendFunc) error {
	m := messageFor(b.endpoint())
	for _, c := range b {
		addWait(&m, c)
		if m.Stream || m.TLS {
			m.States = append(m.States, c.Base().Left)
		}
	}
	err := b.lend(func(fds []int) error { return send(m, fds...) })
	if err == nil {
		b.forget()
	}
	return err
}

// forget clears secrets that were sent, or never can be: such a session is
// closed when it comes back, or its Sink would get it again for ever.
func (b batch) forget() {
	for _, c := range b {
		conntrack.Forget(c)
	}
}

// errNotLent is matched by the error for a connection whose descriptor cannot
// be had: it was closed, or has none.
var errNotLent = errors.New("the connection has no descriptor to send")

// lend calls f with the descriptors of the connections, which stay theirs.
//
// A process near RLIMIT_NOFILE could not duplicate them. None is closed before
// f returns, though Close waits for it: so f must not wait for anybody.
func (b batch) lend(f func(fds []int) error) error {
	fds := make([]int, 0, len(b))
	var next func() error
	next = func() error {
		if len(fds) == len(b) {
			return f(fds)
		}
		c, ok := b[len(fds)].Base().Raw.(syscall.Conn)
		if !ok {
			return fmt.Errorf("%w: it is a %T", errNotLent, b[len(fds)].Base().Raw)
		}
		raw, err := c.SyscallConn()
		if err != nil {
			return fmt.Errorf("%w: %w", errNotLent, err)
		}
		var sendErr error
		err = raw.Control(func(fd uintptr) {
			fds = append(fds, int(fd))
			sendErr = next()
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errNotLent, err)
		}
		return sendErr
	}
	return next()
}
