package lifecycle

import "time"

// An arrival keeps the clocks of a connection that was moved here right until its first request.
//
// To net/http the connection is new, and a new connection has ReadHeaderTimeout to send its first request, counted from when
// it is served. But this one was idle where it came from: it may wait for IdleTimeout, and its next request has the whole of
// ReadHeaderTimeout and ReadTimeout from its first byte. So deadlines that the server sets meanwhile are kept and, when the
// first byte comes, moved on by the time that was waited. The zero value, of a connection accepted here, does nothing.
type arrival struct {
	at      time.Time
	waited  time.Duration
	pending time.Time // the read deadline that the server set before the first byte
}

// expect is called before a Read for the first byte.
func (a *arrival) expect(c *conn) {
	if a.at.IsZero() {
		return
	}
	if idle := c.server.idleTimeout(); idle > 0 {
		_ = c.raw.SetReadDeadline(a.at.Add(idle))
	}
}

// begin is called when the first byte has come.
func (a *arrival) begin(c *conn) {
	if a.at.IsZero() {
		return
	}
	a.waited = time.Since(a.at)
	a.at = time.Time{}
	_ = c.raw.SetReadDeadline(a.shift(a.pending))
}

// holds reports whether the deadline t is to be kept for later; if not, t is as the server would have set it.
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
