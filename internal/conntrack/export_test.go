package conntrack

import (
	"net"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/ledger"
)

// Rehearsed is the connection of a rehearsal, as net/http sees it.
type Rehearsed = rehearsedConn

// Rehearse is the check that HTTP makes, of a net/http that sees what seenAs
// makes of the connection.
func Rehearse(server *http.Server, seenAs func(*Rehearsed) net.Conn) error {
	return rehearse(server, seenAs)
}

// HasLeft reports whether the drain has taken the connection.
func (c *rehearsedConn) HasLeft() bool { return c.idleState.Load() == moving }

// Between feeds a stream of TLS records in pieces, and returns after which of
// its bytes it is between two.
func Between(stream []byte, piece int) map[int]bool {
	var r records
	between := map[int]bool{0: r.between()}
	for at := 0; at < len(stream); {
		end := min(at+piece, len(stream))
		r.advance(stream[at:end])
		between[end] = r.between()
		at = end
	}
	return between
}

// A Tracked is an HTTP server whose connections are followed, without a
// service.
type Tracked struct{ server *Server }

// Track prepares server for Serve.
func Track(listener net.Listener, server *http.Server) *Tracked {
	s := NewServer(New(Config{}), listener, "test")
	s.HTTP, s.Movable, s.proven, s.Hook = server, true, true, server.ConnState
	server.ConnState = s.ConnState
	server.Handler = s.AnnounceClose(server.Handler)
	return &Tracked{s}
}

// Serve serves until the listener is closed.
func (t *Tracked) Serve() error { return t.server.Serve() }

// Resting reports how many connections wait for a request of which no byte has
// come, of how many there are.
func (t *Tracked) Resting() (resting, all int) {
	conns := t.server.Registry.All()
	for _, c := range conns {
		if c.(*conn).idleState.Load() == atRest {
			resting++
		}
	}
	return resting, len(conns)
}

// RestsAt reports whether the ledger would be told that the only connection is
// at rest when so many bytes were read from it. Only one of TCP has such a note.
func (t *Tracked) RestsAt(sent int) bool {
	for _, c := range t.server.Registry.All() {
		if mark := c.Base().mark; mark != nil {
			taken, rested := mark.Noted()
			return rested && taken == uint64(sent)
		}
	}
	return false
}

// HandTo is Server.HandTo.
func (t *Tracked) HandTo(nc net.Conn, other *Info) {
	other.Raw, other.Endpoint = Underlying(nc), &t.server.Endpoint
	t.server.HandTo(nc, other)
}

// Registry returns the one of the connections.
func (t *Tracked) Registry() *Registry { return t.server.Registry }

// States returns the http.ConnStates of the connections.
func (t *Tracked) States() []http.ConnState {
	var states []http.ConnState
	for _, c := range t.server.Registry.All() {
		states = append(states, c.Base().State())
	}
	return states
}

// Spend has a connection be one whose session was exported.
func (i *Info) Spend(state []byte) { i.spent, i.Left = true, state }

// BeLate is LateIn(0), at once.
func (r *Registry) BeLate() { r.drain.late.Store(true) }

// KeepByHand has connections entered in the ledger by Enter alone. It is called
// after KeepIn, while there are none.
func (r *Registry) KeepByHand() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeper.tick, r.keeper.soon = farOff, farOff
}

// Enter is the tick by which connections are entered.
func (r *Registry) Enter() { r.enterAt(time.Time{}) }

// EnterSoon is what enters some of them before it.
func (r *Registry) EnterSoon() { r.enterAt(time.Now().Add(farOff)) }

func (r *Registry) enterAt(ages time.Time) {
	r.mu.Lock()
	r.keeper.ages = ages
	r.mu.Unlock()
	r.enterSome()
}

// ToEnter returns how many connections are to be entered by the tick after the
// next one, and by the next one or before it.
func (r *Registry) ToEnter() (young, old int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keeper.young), len(r.keeper.old) + len(r.keeper.ripe)
}

// Receive is Server.Receive, of a connection of which nothing is known, and has
// what arrives served.
func (t *Tracked) Receive(nc net.Conn) { t.server.Receive(nc, Wait{}) }

// ServeArrived serves what Receive is given until Close.
func (t *Tracked) ServeArrived() { t.server.ServeArrived() }

// Close ends ServeArrived.
func (t *Tracked) Close() { t.server.Close() }

// AnswerLost is Server.AnswerLost.
func (t *Tracked) AnswerLost(f *ledger.Found) bool { return t.server.AnswerLost(f) }

// SetPhase is Endpoint.SetPhase.
func (t *Tracked) SetPhase(p Phase) { t.server.SetPhase(p) }

// IsReading reports whether a server waits for the rest of a request.
func (r *Registry) IsReading() bool { return r.AreReading() > 0 }

// AreWaiting returns how many connections are in that, or in a function of the
// program's that may read.
func (r *Registry) AreWaiting() (n int) {
	for _, member := range r.All() {
		if c, ok := member.(*conn); ok && c.body.asking.Load() {
			n++
		}
	}
	return n + r.AreReading()
}

// AreReading returns how many connections are in a Read that may be for that.
func (r *Registry) AreReading() (n int) {
	for _, member := range r.All() {
		if c, ok := member.(*conn); ok && c.body.reading.Load() {
			n++
		}
	}
	return n
}
