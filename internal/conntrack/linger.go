package conntrack

import (
	"errors"
	"net/http"
	"os"
	"time"
)

// lingerAlone gives a connection that comes to rest in a drain the whole of
// Config.Linger. Those at rest when the drain begins have the same one.
//
// Had its response said Connection: close, the server would not wait for
// another request. But the header is the handler's, which began before the
// drain: there is no way to add to it then that is free of races. So the client
// may be about to send the next request, whose response is told in time.
func (c *conn) lingerAlone() {
	phase := c.Endpoint.Phase()
	if phase != Moving && phase != Lingering || c.nextAction() == moving || c.isAwaited() {
		return
	}
	until := c.lingers.time()
	if until.IsZero() { // else blank lines have come, which are no request
		until = time.Now().Add(c.Endpoint.Registry.config.Linger)
		c.lingers.set(until)
	}
	if limit := c.deadline.time(); limit.IsZero() || until.Before(limit) {
		_ = c.Raw.SetReadDeadline(until)
	}
}

// isAwaited reports whether a client is about to ask how the drain goes.
func (c *conn) isAwaited() bool {
	return c.Endpoint.lasts.Load() && c.State() == http.StateNew
}

// endLinger goes on after a Read at rest, which lasted as long as lingerAlone
// says at the most.
func (c *conn) endLinger(p []byte, n int, err error) (int, error) {
	if c.lingers.time().IsZero() {
		return n, err
	}
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.hasRequest() {
		return c.readCome(p) // it came at the last moment
	}
	if n > 0 {
		_ = c.Raw.SetReadDeadline(c.deadline.time())
	}
	return n, err
}
