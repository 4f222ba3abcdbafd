package conntrack

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// longAgo is a read deadline that wakes a waiting Read at once.
var longAgo = time.Unix(1, 0)

// An owner is the Server of a conn.
type owner interface {
	isProven() bool // net/http behaves as conn relies on it: see Server.Rehearse
	idleTimeout() time.Duration
	headerTimeout() time.Duration
	receive(nc net.Conn, movable bool, w Wait)
	reclaim(session *secured, state []byte, movable bool, w Wait)
}

// A conn follows one connection from Accept to Close. It knows when net/http
// waits for a request of which no byte has been read. Then, and only then, the
// connection may be taken from its server with nothing lost: the server's Read
// fails, the server calls Close, and Close passes the descriptor on. What the
// client sends meanwhile stays in the kernel.
//
// The server's goroutine goes from inUse to atRest before it waits, and back
// once bytes have come. A drain goes from atRest to moving or closing and then
// wakes the Read. Both do so by compare-and-swap, so one of them wins. One case
// is left: the drain wins and bytes come all the same, before the wake-up. The
// Read takes them and the connection is inUse again.
type conn struct {
	Info
	server    owner
	movable   bool
	foreign   bool                         // not read through this conn
	tls       bool                         // the bytes are those of TLS
	http2     atomic.Pointer[HTTP2Streams] // nil if it is none
	closed    atomic.Bool
	idleState atomic.Int32

	deadlines atomic.Int32 // how often the server set a read deadline since http.StateIdle
	begun     atomic.Bool  // bytes were read since http.StateNew or http.StateIdle
	tail      int          // with how many blank bytes ends what the server was given, up to maxBlank; belongs to its reads
	records   records      // of TLS; belongs to its reads
	lingers   moment       // until when, if it came to rest in the drain
	deadline  moment       // the read deadline that the server set in http.StateNew or http.StateIdle

	body  bodyReads
	heard moment // when bytes came last, in a drain

	rechecks atomic.Bool // releaseForeign will run again
	sparing  sparing

	waking sync.Mutex // held while a drain takes the connection and wakes its Read

	arrival arrival
}

// tracked is how the conn is found in what the server has of it.
func (c *conn) tracked() *conn { return c }

var (
	_ Conn     = (*conn)(nil)
	_ keepable = (*conn)(nil)
)

func (c *conn) read(p []byte) (int, error) {
	if !c.mayBeAtRest(len(p)) {
		return c.readInUse(p)
	}
	c.arrival.expect(c)
	for {
		n, err := c.readAtRest(p)
		c.noteTaken(n)
		if n > 0 && isBlank(p[0]) && c.ignoresBlank(len(p)) {
			if n = dropBlank(p[:n]); n == 0 && err == nil {
				continue
			}
		}
		if n > 0 {
			c.begun.Store(true)
			c.arrival.begin(c)
			c.noteAlone(p[:n])
			c.follow(p[:n])
			c.noteHeard()
		}
		return n, err
	}
}

// readInUse reads on behalf of a server that does not wait for a new request.
func (c *conn) readInUse(p []byte) (int, error) {
	state := c.State()
	if state == http.StateHijacked { // then anybody may read
		return c.Raw.Read(p)
	}
	waits := len(p) > 1 // else net/http looks whether the client is still there
	var n int
	var err error
	if waits {
		n, err = c.readRest(p)
	} else {
		n, err = c.readByte(p)
	}
	c.noteTaken(n)
	if n > 0 {
		if c.sparing.alone.Load() {
			c.sparing.alone.Store(false)
		}
		c.follow(p[:n])
		c.noteHeard()
	}
	return n, err
}

// follow notes how ends what the server was given.
func (c *conn) follow(p []byte) {
	if c.tls {
		c.records.advance(p)
		return
	}
	c.tail = blankTail(c.tail, p)
}

// Release wakes the Read of a connection that is at rest and is to leave.
func (c *conn) Release() {
	if c.foreign {
		c.releaseForeign()
		return
	}
	c.waking.Lock()
	defer c.waking.Unlock()
	if action := c.nextAction(); action != atRest && c.idleState.CompareAndSwap(atRest, action) {
		_ = c.waker().SetReadDeadline(longAgo)
	}
}

// waker returns what a drain wakes the Read of, without a call of the program's
// own functions, which may wait.
func (c *conn) waker() net.Conn {
	if t := aroundOf(c.Raw); t != nil {
		return t.Socket()
	}
	return c.Raw
}

// mayMove reports whether the next process can go on with the connection.
func (c *conn) mayMove() bool {
	if !c.movable {
		return false
	}
	if s, ok := c.Raw.(*secured); ok && s.stays.Load() {
		return false
	}
	t := aroundOf(c.Raw)
	return t == nil || t.IsWhole()
}

// noteStays counts a session that stays for what is around its connection, once.
func (c *conn) noteStays() {
	s, ok := c.Raw.(*secured)
	if ok && c.movable && !c.mayMove() && !s.stays.Swap(true) {
		c.Endpoint.Registry.sessions.stay(tlsmove.Wrapped)
	}
}

// nextAction decides how the connection goes on when it is at rest:
// atRest if it may stay.
func (c *conn) nextAction() int32 {
	phase := c.Endpoint.Phase()
	switch {
	case phase == Moving && c.mayMove():
		return moving
	case c.isAwaited():
		return atRest
	case phase != Serving && c.Endpoint.Registry.drain.lingered.Load() && (c.foreign || c.lingers.time().IsZero()):
		return closing
	default:
		return atRest
	}
}

func (c *conn) setReadDeadline(t time.Time) error {
	switch c.State() {
	case http.StateIdle:
		c.deadlines.Add(1)
	case http.StateNew:
		if c.arrival.holds(c, &t) {
			return nil
		}
	default:
		if t.IsZero() && c.tls {
			c.body.background.Store(true)
		}
		c.takeBack(t)
		return c.Raw.SetReadDeadline(t)
	}
	return c.expectBy(t)
}

// expectBy sets the deadline for the client's next bytes, to be found again
// when a drain has set another.
func (c *conn) expectBy(t time.Time) error {
	c.deadline.set(t)
	return c.Raw.SetReadDeadline(t)
}

// changed is told each new http.ConnState by the goroutine that serves the
// connection. One that was hijacked is the handler's from then on, even if that
// has another HTTP/2 serve it, which tells of states as well.
func (c *conn) changed(state http.ConnState) {
	if c.State() == http.StateHijacked {
		return
	}
	switch state {
	case http.StateIdle:
		c.begun.Store(false)
		c.deadlines.Store(0)
		c.lingers.set(time.Time{})
		if c.sparing.hold.Load() != nil {
			c.sparing.hold.Store(nil)
		}
	case http.StateActive:
		c.body.background.Store(false)
	}
	c.state.Store(int32(state))
}

func (c *conn) close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	s, isTLS := c.Raw.(*secured)
	switch {
	case c.idleState.Load() == moving && (!isTLS || c.spent):
		c.arrival.Wait = c.wait() // http.StateClosed comes next
		c.leaveLedger()
		c.SetPassed(true)
		c.Endpoint.Registry.pass(c)
		return nil
	case isTLS:
		if c.idleState.Load() == closing {
			c.noteStays()
		}
		defer c.Endpoint.Registry.Remove(c)
		return s.Conn.Close() // with a close_notify
	default:
		return Close(c)
	}
}

// Restore has the same server serve the connection as one that has arrived.
func (c *conn) Restore(movesLater bool) {
	_ = c.Raw.SetReadDeadline(time.Time{})
	movable := c.movable && movesLater
	if s, ok := c.Raw.(*secured); ok {
		c.server.reclaim(s, c.Left, movable, c.arrival.Wait)
		return
	}
	c.server.receive(c.Raw, movable, c.arrival.Wait)
}

// candidate returns the connection as the ledger needs it to keep it.
func (c *conn) candidate() (ledger.Candidate, bool) {
	t, ok := c.Raw.(*net.TCPConn)
	return ledger.Candidate{Mark: c.mark, Conn: t}, ok
}

// hasSettled reports whether the connection is worth being kept: it is at rest,
// or has come back to rest after a request.
func (c *conn) hasSettled() bool {
	taken, _ := c.mark.Noted()
	return taken > 0 || c.idleState.Load() == atRest
}

// noteRest notes in the ledger that the connection is at rest, which idleState
// says already.
func (c *conn) noteRest() {
	if c.mark != nil && c.mark.Rest() {
		c.Endpoint.Registry.keepAgain(c)
	}
}

// noteTaken counts the bytes that were read.
func (c *conn) noteTaken(n int) {
	if c.mark != nil && n > 0 {
		c.mark.Took(n)
	}
}
