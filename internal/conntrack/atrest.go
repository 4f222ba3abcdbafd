package conntrack

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// Where a connection stands between its server, which reads from it, and a
// drain, which would take it away.
const (
	inUse   int32 = iota
	atRest        // the server waits in Read for a request of which no byte has come
	moving        // taken: Close passes it on
	closing       // taken: Close closes it
)

// requestBuffer is the size of net/http's buffer for requests (newBufioReader
// in net/http/server.go makes it with bufio.NewReader). A Read into that buffer
// is this long when it is empty, and shorter when bytes wait in it.
var requestBuffer = bufio.NewReader(nil).Size()

// mayBeAtRest reports whether a Read of this size waits for the first byte of a
// request.
//
// After http.StateIdle the server sets one read deadline and peeks for the
// first bytes of the next request. Before it parses what it peeked it sets
// another. So the second deadline says that a request has begun, even when the
// buffer it came in is used up, as it is after a first segment that ends with a
// line. Bytes that came along with the request before, which nobody counted
// since then, show in the size. They may be blank lines, if those are the last
// that came.
//
// With TLS a record that has begun shows, but not up to three bytes of a
// request that came in a record with the end of the one before. A client of TLS
// that has sent nothing is about to start its handshake, which is work.
func (c *conn) mayBeAtRest(size int) bool {
	if c.http2.Load() != nil {
		return false
	}
	switch c.State() {
	case http.StateNew:
		return !c.begun.Load() && !c.tls
	case http.StateIdle:
		return !c.begun.Load() && (!c.server.isProven() || c.isBeforeRequest(size))
	default:
		return false
	}
}

// isBeforeRequest reports, in http.StateIdle, whether the server waits for the
// next request and has nothing of it in its buffer.
func (c *conn) isBeforeRequest(size int) bool {
	if c.tls { // the size is crypto/tls's; and an HTTP/2 that we do not know of sets no deadline
		return c.records.between() && c.deadlines.Load() <= 1
	}
	buffered := requestBuffer - size
	return buffered >= 0 && buffered <= c.tail && c.deadlines.Load() == 1
}

// ignoresBlank reports whether blank lines that a Read of this size has found
// come before a request, rather than in it or in another protocol. The
// connection was at rest.
func (c *conn) ignoresBlank(size int) bool {
	if c.tls {
		return false
	}
	return c.State() == http.StateNew || c.isBeforeRequest(size)
}

func (c *conn) readAtRest(p []byte) (int, error) {
	if s, ok := c.Raw.(*secured); ok {
		s.Rest()
	}
	for {
		c.lingerAlone()
		c.idleState.Store(atRest)
		c.noteRest()
		if action := c.nextAction(); action != atRest && c.idleState.CompareAndSwap(atRest, action) && c.mayLeave() {
			if !c.isSession() {
				return 0, os.ErrDeadlineExceeded
			}
			_ = c.Raw.SetReadDeadline(longAgo) // the session may hold some of a request
		}
		n, err := c.Raw.Read(p)
		if c.idleState.CompareAndSwap(atRest, inUse) {
			return c.endLinger(p, n, err)
		}
		switch stays := c.woken(n, err); {
		case stays == nil:
			return n, err
		case errors.Is(stays, errHasCome):
			return c.readCome(p)
		case tlsmove.ReasonOf(stays) == tlsmove.Busy: // a request has begun, in a record that has not come as a whole
			return c.readRest(p)
		}
	}
}

// errHasCome says that bytes have come, so that the connection is not at rest.
var errHasCome = errors.New("a request has begun")

// woken goes on after a Read at rest that returned n and err, and during which
// the connection was taken. It returns why the connection stays although the
// Read was woken: nil if it leaves, or if the Read has returned something.
func (c *conn) woken(n int, err error) (stays error) {
	c.waking.Lock() // the drain may be about to set its deadline
	defer c.waking.Unlock()
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		stays = errHasCome
		if c.mayLeave() {
			stays = c.depart()
		}
		if stays == nil {
			return nil
		}
	}
	c.idleState.Store(inUse)
	_ = c.Raw.SetReadDeadline(c.deadline.time())
	return stays
}

// readCome reads what has come when the connection was about to leave, or to be
// closed. What the kernel has is read whatever the deadline is. But a session of
// TLS, and what is around a connection, may need more than that, and then wait
// for the client as any other Read does.
func (c *conn) readCome(p []byte) (int, error) {
	switch c.Raw.(type) {
	case *net.TCPConn, *net.UnixConn:
		_ = c.Raw.SetReadDeadline(time.Time{})
		defer func() { _ = c.Raw.SetReadDeadline(c.deadline.time()) }()
		return c.Raw.Read(p)
	default:
		_ = c.Raw.SetReadDeadline(c.deadline.time())
		return c.readRest(p)
	}
}

// isSession reports whether the connection is a session of TLS.
func (c *conn) isSession() bool {
	_, ok := c.Raw.(*secured)
	return ok
}

// depart has a session of TLS leave the connection, if it was taken to move.
func (c *conn) depart() error {
	s, ok := c.Raw.(*secured)
	if !ok || c.idleState.Load() != moving {
		return nil
	}
	state, err := s.export(c.Endpoint)
	if err == nil {
		c.Left, c.spent = state, true
	}
	return err
}

// mayLeave reports whether the connection, which is at rest and was taken, may
// leave its server. One that is to be closed stays if a request has come just
// now: that is answered, as the last one.
func (c *conn) mayLeave() bool {
	return c.idleState.Load() == moving || !c.hasRequest()
}

func (c *conn) hasRequest() bool {
	if s, ok := c.Raw.(*secured); ok {
		return s.HasPart() || fdutil.HasUnread(c.Raw)
	}
	if c.tls {
		return fdutil.HasUnread(c.Raw)
	}
	return hasRequest(c.Raw)
}
