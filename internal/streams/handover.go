package streams

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// MaxState is how many bytes of state a handler may hand over.
const MaxState = 64 << 10

// Errors of HandOver.
var (
	ErrNoSuccessor = errors.New("there is no successor to take the connection")
	ErrUnread      = errors.New("what the client has sent would be lost")
	ErrTooLarge    = errors.New("too large to hand down")
)

// partPatience is how long HandOver waits for the rest of a record of TLS. A
// client that is there sends it at once. Tests are less patient.
var partPatience = conntrack.DefaultSilence

// waitsForPart is for tests.
var waitsForPart = func() {}

// HandOver gives the connection to the next process, together with up to
// MaxState bytes of state, of which it keeps no reference. It waits for a Write
// that is under way, and with a session of TLS for a record. Afterwards nothing
// can be written here, and the connection is closed for this process. If the
// next process proves unable to take it, the handler is called again, in this
// one; but a session of TLS whose state was sent is closed.
//
// The error matches
//   - ErrNoSuccessor if no process can take the connection;
//   - ErrTooLarge if the state is too large;
//   - ErrUnread if something has come that Read has not returned, and that
//     cannot be taken along;
//   - errors.ErrUnsupported for a connection that is neither TCP nor of a Unix
//     socket, or a session of TLS that cannot move;
//   - net.ErrClosed if the connection was closed or handed over before.
func (c *Conn) HandOver(state []byte) error {
	if c.session != nil {
		return c.handOverSession(state)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	sink, err := c.mayGo(state)
	if err != nil {
		return err
	}
	c.gone.Store(true)
	c.info.Left = append([]byte{}, state...)
	c.info.SetPassed(true)
	sink.Pass(c.tracked())
	return nil
}

// mayGo returns who would take the connection. writing is held.
func (c *Conn) mayGo(state []byte) (conntrack.Sink, error) {
	sink := c.server.Registry.Sink()
	switch {
	case c.gone.Load():
		return nil, net.ErrClosed
	case len(state) > MaxState:
		return nil, fmt.Errorf("%w: %d bytes of state, more than %d", ErrTooLarge, len(state), MaxState)
	case c.session == nil && c.hasUnread():
		return nil, ErrUnread
	case c.session == nil && !around.IsMovable(c.info.Raw):
		return nil, fmt.Errorf("hand over %T: %w", conntrack.Seen(c.info.Raw), errors.ErrUnsupported)
	case sink == nil || !c.server.Movable || !sink.Serves(&c.server.Endpoint):
		return nil, ErrNoSuccessor
	case sink.IsFull() && (c.server.Registry.IsLate() || c.server.Phase() == conntrack.Lingering):
		return nil, ErrNoSuccessor // else the handler would be called again, and told to leave, over and over
	}
	return sink, nil
}

// handOverSession is HandOver for a session of TLS that may move. The client's
// half of a record may make it wait, in which nobody else is kept waiting but
// who reads, and Close ends it.
func (c *Conn) handOverSession(state []byte) error {
	c.writing.Lock()
	_, err := c.mayGo(state)
	c.writing.Unlock()
	if err != nil {
		return err
	}
	c.tell()
	c.reading.Lock()
	defer c.reading.Unlock()
	if err := c.settle(); err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	sink, err := c.mayGo(state)
	if err != nil {
		return err
	}
	if sink.IsFull() { // the session stays as it is, and the handler is called again
		c.gone.Store(true)
		c.info.Left = append([]byte{}, state...)
		c.session.HoldReads(false)
		c.server.Registry.ServeMeanwhile([]conntrack.Conn{c.tracked()})
		return nil
	}
	if !around.IsMovable(c.session.Socket) {
		return c.refused(&tlsmove.Refusal{Reason: tlsmove.Wrapped})
	}
	exported, err := c.session.Export()
	if err != nil {
		return c.refused(err)
	}
	c.gone.Store(true)
	c.exported = true
	conntrack.Spend(c.tracked(), parcel{exported, c.takeUnread(), state}.encode())
	clear(exported)
	c.info.SetPassed(true)
	sink.Pass(c.tracked())
	return nil
}

// settle has what is decrypted wait in unread, until the session is between two
// records and what comes next is in the kernel. reading is held.
func (c *Conn) settle() error {
	c.session.HoldReads(true)
	buffer := make([]byte, 16<<10)
	for patient := true; ; {
		n, err := c.session.Read(buffer)
		c.mu.Lock()
		c.unread = append(c.unread, buffer[:n]...)
		c.mu.Unlock()
		switch {
		case n > 0:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("hand over a session of TLS: %w", err)
		case !c.session.HasPart():
			return nil
		case !patient:
			return fmt.Errorf("%w: half a record of TLS", ErrUnread)
		default:
			patient = false
			_ = c.session.SetReadDeadline(time.Now().Add(partPatience))
			waitsForPart()
		}
	}
}

// refused returns the error for a session that does not leave.
func (c *Conn) refused(err error) error {
	if tlsmove.ReasonOf(err) == tlsmove.Busy {
		return fmt.Errorf("%w: %w", ErrUnread, err)
	}
	c.server.Registry.SessionStays(err)
	return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
}
