package streams

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// ErrDraining is returned by the Read of a Conn that is to leave this process.
var ErrDraining = errors.New("the connection is to leave this process")

// longAgo is a deadline that wakes what waits at once.
var longAgo = time.Unix(1, 0)

// A Conn is a connection that a Server serves. It is a net.Conn that goroutines
// may share, but only one may Read at a time.
type Conn struct {
	info     conntrack.Info
	server   *Server
	session  *conntrack.Session // Raw of info, if that is one of TLS that may move, else nil
	exported bool               // session is: Left has it
	state    []byte             // from the process before
	leaving  chan struct{}

	mu     sync.Mutex // guards the following, and that no deadline undoes the waking of Read
	told   bool       // leaving is closed
	unread []byte     // came, and is to be read before what Raw has

	reading sync.Mutex   // with a session: held by each Read, and by HandOver
	writing sync.RWMutex // held for reading by each Write, for writing by HandOver and Close
	gone    atomic.Bool  // handed over or closed; set under writing
}

var _ net.Conn = (*Conn)(nil)

// A tracked is a Conn as the registry sees it: its methods are not for the
// handler.
type tracked Conn

var _ conntrack.Conn = (*tracked)(nil)

func (c *Conn) tracked() *tracked { return (*tracked)(c) }

func (c *tracked) Base() *conntrack.Info { return &c.info }

// State returns the state that the connection was handed over with, nil if it
// came in this process.
func (c *Conn) State() []byte { return c.state }

// Draining is closed when the connection is to leave this process.
func (c *Conn) Draining() <-chan struct{} { return c.leaving }

// TLS returns what is known of a session of TLS, nil if there is none.
func (c *Conn) TLS() *tls.ConnectionState {
	if secure, ok := c.info.Raw.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState()
		return &state
	}
	return nil
}

// Read reads as for a net.Conn until the connection is to leave, and from then
// on returns ErrDraining. A Read that was waiting returns the bytes that have
// come by then, if any.
func (c *Conn) Read(p []byte) (int, error) {
	if c.session != nil {
		c.reading.Lock()
		defer c.reading.Unlock()
	}
	if n := c.readUnread(p); n > 0 {
		return n, nil
	}
	select {
	case <-c.leaving:
		return 0, ErrDraining
	default:
	}
	if c.session != nil {
		c.session.Rest()
	}
	n, err := c.info.Raw.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		select {
		case <-c.leaving:
			return 0, ErrDraining
		default:
		}
	}
	return n, err
}

func (c *Conn) readUnread(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n
}

// takeUnread is for who goes on with the connection.
func (c *Conn) takeUnread() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	unread := c.unread
	c.unread = nil
	return unread
}

func (c *Conn) hasUnread() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unread) > 0
}

// Write is that of net.Conn. After HandOver and Close the error matches
// net.ErrClosed.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.RLock()
	defer c.writing.RUnlock()
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	return c.info.Raw.Write(p)
}

// ReadFrom copies from r until it ends, by sendfile(2) or splice(2) where that
// is possible. The connection cannot be handed over meanwhile.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	c.writing.RLock()
	defer c.writing.RUnlock()
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	return io.Copy(c.info.Raw, r)
}

// Close closes the connection, also under a Read or Write, unless it was handed
// over. A second call returns an error that matches net.ErrClosed.
func (c *Conn) Close() error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	_ = c.info.Raw.SetWriteDeadline(longAgo) // for a Write to let go
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.gone.Load() {
		return net.ErrClosed
	}
	c.gone.Store(true)
	if c.session != nil {
		defer c.server.Registry.Remove(c.tracked())
		return c.session.Conn.Close() // with a close_notify
	}
	return conntrack.Close(c.tracked())
}

// LocalAddr returns this end's address.
func (c *Conn) LocalAddr() net.Addr { return c.socket().LocalAddr() }

// RemoteAddr returns the other end's address, which is never nil.
func (c *Conn) RemoteAddr() net.Addr { return conntrack.RemoteAddr(c.socket()) }

// socket returns what knows the addresses.
func (c *Conn) socket() net.Conn {
	if c.session != nil {
		return c.session.Socket
	}
	return c.info.Raw
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is that of net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		return nil
	}
	return c.info.Raw.SetReadDeadline(t)
}

// SetWriteDeadline is that of net.Conn. It bounds a Write that is under way,
// too, and with it a HandOver that waits.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.info.Raw.SetWriteDeadline(t)
}

// Release tells the handler that the connection is to leave.
func (c *tracked) Release() {
	if c.info.Endpoint.Phase() != conntrack.Serving {
		(*Conn)(c).tell()
	}
}

// tell tells the handler that the connection is to leave.
func (c *Conn) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.told {
		c.told = true
		close(c.leaving)
		_ = c.info.Raw.SetReadDeadline(longAgo)
	}
}

// Restore calls the handler again, with what it said was left. A session that
// was exported, and whose state was not sent, is adopted here.
func (c *tracked) Restore(bool) {
	c.info.SetPassed(false)
	_ = c.info.Raw.SetDeadline(time.Time{})
	if c.exported {
		c.server.reclaim(c.session, c.info.Left)
		return
	}
	c.server.receive(c.info.Raw, c.info.Left, (*Conn)(c).takeUnread())
}
