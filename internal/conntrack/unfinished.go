package conntrack

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// A bodyReads is what a conn knows of the body of its request, and of what
// comes before it.
type bodyReads struct {
	reading    atomic.Bool  // in a Read that may be for the rest of a request
	asking     atomic.Bool  // in a function of the program's that may read itself: see ask
	background atomic.Bool  // net/http has the whole body: see isOwedBody
	protocol   atomic.Int32 // unjudged, told or untold
}

// What a conn knows of the protocol of its requests.
const (
	unjudged int32 = iota
	told           // HTTP/1, or an HTTP/2 that IsHTTP2 was told of
	untold         // another one: nobody tells for whom its requests wait
)

// isUnfinished reports whether the server waits for the rest of a request
// before it can begin with it, or, to begin with, for that of a TLS handshake,
// of the preface of HTTP/2, or of what the program waits for in ask. Between two
// Reads it is the server that the client waits for.
func (c *conn) isUnfinished() bool {
	if c.foreign || c.idleState.Load() != inUse {
		return false
	}
	switch c.State() {
	case http.StateNew:
		return c.body.reading.Load() || c.body.asking.Load()
	case http.StateIdle:
		return c.body.reading.Load() && c.http2.Load() == nil // that one is told GOAWAY
	case http.StateActive:
		return c.Endpoint.Control && c.isOwedBody()
	default:
		return false
	}
}

// isOwedBody reports whether the handler of a request of HTTP/1 waits for its
// client, which has not sent all of the body, and for nothing else. What speaks
// another protocol may read all the time, whatever its handlers do.
//
// net/http reads in the background as well, to notice that the client goes away
// while the handler works; but only what comes after the body, and a single
// byte. crypto/tls makes a Read of a record of it. So with TLS it counts that
// the read deadline is taken away before (startBackgroundRead in server.go),
// which a handler may do, too.
func (c *conn) isOwedBody() bool {
	return c.isAnswering() && c.http2.Load() == nil && c.body.protocol.Load() == told &&
		c.body.reading.Load() && !c.body.background.Load() && !fdutil.HasUnread(c.Raw)
}

// isAnswering reports whether there is a request that may come to wait for its
// client. HTTP/2 may still write the response of one that the client has given
// up, and its GOAWAY waits for that.
func (c *conn) isAnswering() bool {
	state := c.State()
	return !c.foreign && (state == http.StateActive || state == http.StateIdle && c.http2.Load() != nil)
}

// readRest is a Read that may be for the rest of a request. A drain, if one has
// begun, watches for how long it waits.
func (c *conn) readRest(p []byte) (int, error) {
	c.beginWait(&c.body.reading)
	n, err := c.Raw.Read(p)
	c.body.reading.Store(false)
	return n, err
}

// ask returns what a function of the program's says is an address of the
// connection. net/http asks before it reads anything, and the program may read
// the address itself, from the header of a proxy, say. A drain watches for how
// long that takes, as in readRest.
func (c *conn) ask(address func() net.Addr) net.Addr {
	c.beginWait(&c.body.asking)
	defer c.body.asking.Store(false)
	return address()
}

// beginWait notes in waits that the client is waited for from now on.
func (c *conn) beginWait(waits *atomic.Bool) {
	waits.Store(true) // before the look at began: WatchSilence looks at it afterwards
	if c.Endpoint.Registry.drain.began.Load() {
		c.Endpoint.Registry.watchSilence()
	}
}

// noteHeard is called when bytes have come, or the connection itself.
func (c *conn) noteHeard() {
	if c.Endpoint.Registry.drain.began.Load() {
		c.heard.set(time.Now())
	}
}

// silenceLeft returns how much longer nothing may come, of so long since the
// drain began. It is negative when it is time to close the connection.
func (c *conn) silenceLeft(silence time.Duration, drain time.Time) time.Duration {
	last := c.heard.time()
	if last.Before(drain) {
		last = drain
	}
	left := silence - time.Since(last)
	if left > 0 {
		return left
	}
	// A part of a record of TLS is not heard, nor is what the program reads
	// itself. The kernel knows, unless the socket is a Unix socket.
	if received, _, known := fdutil.LastData(c.Raw); known {
		left = max(left, silence-received)
	}
	if left <= 0 && fdutil.HasUnread(c.Raw) { // it is this process that is slow
		return silence
	}
	return left
}
