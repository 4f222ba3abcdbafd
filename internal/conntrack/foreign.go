package conntrack

import (
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// releaseForeign closes a connection of whose reads nothing is known, when it
// may linger no longer, unless its client is about to send a request: in
// http.StateNew, where a handshake of TLS may be under way, or if something has
// come since the last response went. Of a client that then falls silent it is
// closed a while later.
func (c *conn) releaseForeign() {
	state := c.State()
	if c.http2.Load() != nil || c.nextAction() != closing || state != http.StateNew && state != http.StateIdle {
		return
	}
	if left := max(c.patience(state), time.Until(c.lingers.time())); left > 0 {
		c.recheckIn(left)
		return
	}
	c.Endpoint.Registry.config.Close(c.Raw) // perhaps after all else has ended
}

// lingerForeign is lingerAlone for a connection that has become idle.
func (c *conn) lingerForeign() {
	if c.Endpoint.Phase() != Serving {
		linger := c.Endpoint.Registry.config.Linger
		c.lingers.set(time.Now().Add(linger))
		c.recheckIn(linger)
	}
}

func (c *conn) recheckIn(d time.Duration) {
	if c.rechecks.CompareAndSwap(false, true) {
		time.AfterFunc(d, func() {
			c.rechecks.Store(false)
			c.releaseForeign()
		})
	}
}

// patience returns how long a client may still be silent.
func (c *conn) patience(state http.ConnState) time.Duration {
	silence := c.Endpoint.Registry.config.Silence
	socket := SocketOf(c.Raw)
	if socket != nil && fdutil.HasUnread(socket) {
		return silence // it is this process that is slow
	}
	received, sent, known := fdutil.LastData(socket)
	switch {
	case state == http.StateNew && known:
		return silence - min(received, time.Since(c.heard.time()))
	case state == http.StateNew:
		return silence - time.Since(c.heard.time())
	case known && received < sent:
		return silence - received
	default:
		return 0
	}
}
