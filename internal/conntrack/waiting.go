package conntrack

import (
	"io"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// Waiting are connections that wait for their clients.
type Waiting struct {
	conns     []Conn
	Requests  int // of them, requests, or handshakes, that have not come as a whole
	Responses int // of them, responses that the client does not read
	Idle      int // of them, those without a request
}

// None reports whether there are none.
func (w Waiting) None() bool { return len(w.conns) == 0 }

// Cut has them closed. They count for nothing any more, even while net/http has
// yet to find out, or waits for half a second after a response to a body that
// has not come (rstAvoidanceDelay in server.go; since Go 1.27 where the
// connection is closed as well).
func (w Waiting) Cut(closeConn func(io.Closer)) {
	for _, c := range w.conns {
		c.Base().cut.Store(true)
		closeConn(c.Base().Raw)
	}
}

// Remains returns what there is when the time of a drain is over, by who it is
// that has not done its part: work counts the connections that this process has
// something to do for, the others wait for their clients. Those that wait for
// the Sink are neither.
//
// A client that has not read for a fifth of Config.Silence by then does not do
// its part: it may have come late in a drain that is shorter than Silence.
func (r *Registry) Remains() (work Counts, waiting Waiting) {
	work = r.Count()
	work.New, work.Idle = 0, 0
	for _, member := range r.All() {
		if i := member.Base(); i.Handshake && !i.cut.Load() {
			waiting.Requests++
			waiting.conns = append(waiting.conns, member)
			continue
		}
		c, ok := member.(*conn)
		if !ok || c.Endpoint.Control || c.idleState.Load() == moving || c.cut.Load() {
			continue
		}
		switch c.State() {
		case http.StateNew, http.StateIdle:
			if c.isUnfinished() {
				waiting.Requests++
			} else {
				waiting.Idle++
			}
		case http.StateActive:
			switch body, response := c.waitsForClient(r.config.Silence / 5); {
			case body:
				waiting.Requests++
			case response:
				waiting.Responses++
			default:
				continue
			}
			work.Active--
		default:
			continue
		}
		waiting.conns = append(waiting.conns, c)
	}
	work.Active = max(work.Active, 0) // they come and go
	return work, waiting
}

// waitsForClient reports, of a connection with a request, whether that waits for
// its client: for the rest of its body or, for so long at least, until the
// client reads the response. Of HTTP/2, all requests must; and whether a handler
// works although the body has not come is not known.
func (c *conn) waitsForClient(silence time.Duration) (body, response bool) {
	response = c.isUnread(silence)
	if streams := c.http2.Load(); streams != nil {
		_, requests, handlers := (*streams).Waiting(silence)
		return requests > 0 && handlers == 0, response
	}
	return c.isOwedBody(), response
}

// isUnread reports whether all that the server has to say waits, for so long at
// least, until the client reads.
func (c *conn) isUnread(silence time.Duration) bool {
	if streams := c.http2.Load(); streams != nil {
		if responses, requests, handlers := (*streams).Waiting(silence); responses > 0 && requests+handlers == 0 {
			return true
		}
	}
	return fdutil.SendStalled(c.Raw, silence)
}
