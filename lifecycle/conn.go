package lifecycle

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Where a connection stands between its server, which reads from it, and a drain, which would take it away.
const (
	inUse   int32 = iota
	atRest        // the server waits in Read for a request of which no byte has come
	moving        // taken: Close passes it on
	closing       // taken: Close closes it
)

// requestBuffer is the size of net/http's buffer for requests (newBufioReader in net/http/server.go makes it with
// bufio.NewReader). A Read into that buffer is this long when it is empty, and shorter when bytes wait in it.
var requestBuffer = bufio.NewReader(nil).Size()

// longAgo is a read deadline that wakes a waiting Read at once.
var longAgo = time.Unix(1, 0)

// A conn follows one connection from Accept to Close. It knows when net/http waits for a request of which no byte has been
// read, for then, and only then, may the connection be taken from its server with nothing lost: the server's Read fails, the
// server calls Close, and Close passes the descriptor on. What the client sends meanwhile stays in the kernel.
//
// The server's goroutine goes from inUse to atRest before it waits and back once bytes have come; a drain goes from atRest
// to moving or closing and then wakes the Read. Both do so by compare-and-swap, so one of them wins. The case left is that
// the drain wins and bytes come all the same, before the wake-up: the Read takes them and the connection is inUse again.
type conn struct {
	link
	server  *httpServer
	movable bool
	foreign bool // not read through this conn
	http2   atomic.Bool
	closed  atomic.Bool
	rest    atomic.Int32

	deadlines atomic.Int32 // how often the server set a read deadline since http.StateIdle
	begun     atomic.Bool  // bytes were read since http.StateNew or http.StateIdle

	waking sync.Mutex // held while a drain takes the connection and wakes its Read

	arrival arrival
}

// A tcpConn is a TCP connection as its http.Server sees it. Embedding keeps sendfile (ReadFrom) and CloseWrite.
type tcpConn struct {
	*net.TCPConn
	conn
}

func (c *tcpConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *tcpConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *tcpConn) Close() error                      { return c.close() }

// A unixConn is the same for a Unix stream connection.
type unixConn struct {
	*net.UnixConn
	conn
}

func (c *unixConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *unixConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *unixConn) Close() error                      { return c.close() }

func (c *conn) read(p []byte) (int, error) {
	if !c.mayRest(len(p)) {
		return c.raw.Read(p)
	}
	c.arrival.expect(c)
	n, err := c.readAtRest(p)
	if n > 0 {
		c.begun.Store(true)
		c.arrival.begin(c)
	}
	return n, err
}

// mayRest reports whether a Read of this size waits for the first byte of a request.
//
// After http.StateIdle the server sets one read deadline and peeks for the first bytes of the next request; before it parses
// what it peeked it sets another. So the second deadline says that a request has begun, even when the buffer it came in is
// used up, as it is after a first segment that ends with a line. And bytes that came along with the request before, which
// nobody counted since then, show in the size.
func (c *conn) mayRest(size int) bool {
	if c.http2.Load() {
		return false
	}
	switch http.ConnState(c.state.Load()) {
	case http.StateNew:
		return !c.begun.Load()
	case http.StateIdle:
		if !c.movable {
			return !c.begun.Load()
		}
		return !c.begun.Load() && size == requestBuffer && c.deadlines.Load() == 1
	default:
		return false
	}
}

func (c *conn) readAtRest(p []byte) (int, error) {
	c.rest.Store(atRest)
	if fate := c.fate(); fate != atRest && c.rest.CompareAndSwap(atRest, fate) && c.mayGo() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.raw.Read(p)
	if c.rest.CompareAndSwap(atRest, inUse) {
		return n, err
	}
	c.waking.Lock() // the drain may be about to set its deadline
	defer c.waking.Unlock()
	woken := n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	if woken && c.mayGo() {
		return 0, err
	}
	c.rest.Store(inUse)
	_ = c.raw.SetReadDeadline(time.Time{})
	if woken {
		return c.raw.Read(p)
	}
	return n, err
}

// mayGo reports whether the connection, which rests and was taken, may leave its server. One that is to be closed stays if a request
// has come just now: it is answered, as the last one.
func (c *conn) mayGo() bool {
	return c.rest.Load() == moving || !hasUnread(c.raw)
}

// take ends the rest of a connection that is to leave.
func (c *conn) take() {
	if c.foreign {
		c.takeForeign()
		return
	}
	c.waking.Lock()
	defer c.waking.Unlock()
	if fate := c.fate(); fate != atRest && c.rest.CompareAndSwap(atRest, fate) {
		_ = c.raw.SetReadDeadline(longAgo)
	}
}

// takeForeign closes a connection of whose reads nothing is known, if it has no request and may not linger.
func (c *conn) takeForeign() {
	if c.http2.Load() {
		return
	}
	state := http.ConnState(c.state.Load())
	if c.fate() == closing && (state == http.StateNew || state == http.StateIdle) && !hasUnread(c.raw) {
		_ = c.raw.Close()
	}
}

// fate says what is to become of the connection when it rests: atRest if it may stay.
func (c *conn) fate() int32 {
	phase := c.port.phase.Load()
	switch {
	case phase == phaseMoving && c.movable:
		return moving
	case c.port.name == controlName && http.ConnState(c.state.Load()) == http.StateNew:
		return atRest // somebody is about to ask how the drain goes
	case phase != phaseServing && c.port.service.lingered.Load():
		return closing
	default:
		return atRest
	}
}

func (c *conn) setReadDeadline(t time.Time) error {
	switch http.ConnState(c.state.Load()) {
	case http.StateIdle:
		c.deadlines.Add(1)
	case http.StateNew:
		if c.arrival.holds(c, &t) {
			return nil
		}
	}
	return c.raw.SetReadDeadline(t)
}

// changed is told each new http.ConnState by the goroutine that serves the connection.
func (c *conn) changed(state http.ConnState) {
	if state == http.StateIdle {
		c.begun.Store(false)
		c.deadlines.Store(0)
	}
	c.state.Store(int32(state))
}

func (c *conn) close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	if c.rest.Load() == moving {
		c.port.service.pass(c)
		return nil
	}
	return end(c)
}

func (c *conn) comeBack() {
	_ = c.raw.SetReadDeadline(time.Time{})
	c.server.receive(c.raw, nil, false)
}
