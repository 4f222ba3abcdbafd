package conntrack

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// A bodyReads is what a conn knows of the body of its request.
type bodyReads struct {
	reading    atomic.Bool // in a Read of more than a byte
	background atomic.Bool // net/http has the whole body: see isOwedBody
}

// isUnfinished reports whether the server waits for the rest of a request
// before it can begin with it, or, to begin with, for that of a TLS handshake
// or of the preface of HTTP/2.
func (c *conn) isUnfinished() bool {
	if c.foreign || c.idleState.Load() != inUse {
		return false
	}
	switch c.State() {
	case http.StateNew:
		return true
	case http.StateIdle:
		return c.http2.Load() == nil // that one is told GOAWAY
	case http.StateActive:
		return c.Endpoint.Control && c.isOwedBody()
	default:
		return false
	}
}

// isOwedBody reports whether the handler of a request of HTTP/1 waits for its
// client, which has not sent all of the body, and for nothing else.
//
// net/http reads in the background as well, to notice that the client goes away
// while the handler works; but only what comes after the body, and it takes the
// read deadline away before (startBackgroundRead in server.go).
func (c *conn) isOwedBody() bool {
	return c.isAnswering() && c.http2.Load() == nil && c.body.reading.Load() && !c.body.background.Load() && !fdutil.HasUnread(c.Raw)
}

// isAnswering reports whether there is a request that may come to wait for its
// client.
func (c *conn) isAnswering() bool { return !c.foreign && c.State() == http.StateActive }

// noteUnfinished has a drain, if one has begun, watch what the client sends. It
// is called before each Read that may be for the rest of a request.
func (c *conn) noteUnfinished() {
	if c.Endpoint.Phase() != Serving {
		c.Endpoint.Registry.watchSilence()
	}
}

// noteHeard is called when bytes have come.
func (c *conn) noteHeard() {
	if c.Endpoint.Phase() != Serving {
		c.heard.set(time.Now())
	}
}

// quiet returns for how long nothing has come, at most since the drain began.
func (c *conn) quiet(drain time.Time) time.Duration {
	last := c.heard.time()
	if last.Before(drain) {
		last = drain
	}
	return time.Since(last)
}
