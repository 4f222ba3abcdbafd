package conntrack

import (
	"net/http"
	"time"
)

// An arrival keeps the clocks of a connection that was moved here right until
// its first request.
//
// To net/http the connection is new, and a new connection has ReadHeaderTimeout
// to send its first request, counted from when it is served. But this one was
// idle where it came from: it may wait for IdleTimeout, and its next request
// has the whole of ReadHeaderTimeout and ReadTimeout from its first byte. So
// deadlines that the server sets meanwhile are kept and, when the first byte
// comes, moved on by the time that was waited. The zero value, of a connection
// accepted here, does nothing.
//
// One that was new there as well is as new here, but not newer: the server's
// deadlines come earlier by the time that it has waited elsewhere.
type arrival struct {
	Wait
	at      time.Time     // when it came; zero once a request has begun, or if it was new
	waited  time.Duration // here, before its request began; negative: elsewhere
	pending time.Time     // the read deadline that the server set before the first byte
}

// newArrival begins to keep the clocks of a connection that comes now. If a
// request is there already it came in time, as far as can be known: nobody
// looked while the connection was on its way.
func newArrival(w Wait, hasRequest func() bool) arrival {
	now := time.Now()
	if w.Since.IsZero() || hasRequest() {
		w.Since = now
	}
	if w.First {
		return arrival{Wait: w, waited: w.Since.Sub(now)}
	}
	return arrival{Wait: w, at: now}
}

// expect is called before a Read for the first byte.
func (a *arrival) expect(c *conn) {
	if a.at.IsZero() {
		return
	}
	if idle := c.server.idleTimeout(); idle > 0 {
		_ = c.expectBy(a.Since.Add(idle))
	}
}

// begin is called when the first byte has come.
func (a *arrival) begin(c *conn) {
	if a.at.IsZero() {
		return
	}
	a.waited = time.Since(a.at)
	a.at = time.Time{}
	_ = c.expectBy(a.shift(a.pending))
}

// holds reports whether the deadline t is to be kept for later; if not, t is as
// the server would have set it.
func (a *arrival) holds(c *conn, t *time.Time) bool {
	if !a.at.IsZero() {
		a.pending = *t
		return true
	}
	*t = a.shift(*t)
	return false
}

func (a *arrival) shift(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(a.waited)
}

// A Wait is what a connection at rest takes along of its clocks when it moves:
// since when it waits for a request. The timeouts that the successor has are
// counted from then, whatever those of the predecessor were. The zero value
// says that nothing is known.
type Wait struct {
	Since time.Time // zero if it is not known
	First bool      // it has had no request yet: ReadHeaderTimeout is counted from Since, rather than IdleTimeout
}

// WaitOf returns the Wait of a connection of a Server that was passed to a
// Sink. Other connections have none.
func WaitOf(c Conn) (w Wait, ok bool) {
	if c, ok := c.(*conn); ok {
		return c.arrival.Wait, true
	}
	return Wait{}, false
}

// wait returns the clocks of a connection at rest. They cost its requests
// nothing: net/http says when it stops waiting, and for how long it does.
func (c *conn) wait() Wait {
	first := c.State() == http.StateNew
	if first && !c.arrival.Since.IsZero() {
		return Wait{c.arrival.Since, c.arrival.First}
	}
	timeout := c.server.idleTimeout()
	if first {
		timeout = c.server.headerTimeout()
	}
	ends := c.deadline.time()
	if timeout <= 0 || ends.IsZero() {
		return Wait{First: first}
	}
	return Wait{ends.Add(-timeout), first}
}
