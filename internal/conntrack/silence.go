package conntrack

import (
	"net"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
)

// bodySilences is how many times Config.Silence a client may leave a body half
// sent, or a response half read, that a handler is at already.
const bodySilences = 3

// Silence receives in a drain when it is time to call Silent.
func (r *Registry) Silence() <-chan time.Time { return r.drain.silent.C }

// WatchSilence sets the timer of Silence if there are connections whose clients
// may leave a drain waiting. It is called when the drain begins: later ones set
// it themselves.
func (r *Registry) WatchSilence() {
	for _, member := range r.All() {
		if c, ok := member.(*conn); ok && (c.isUnfinished() || c.isAnswering()) {
			r.watchSilence()
			return
		}
	}
}

// Silent returns the connections whose clients have kept a drain, which began
// at since, waiting for too long. They are to be closed. It sets the timer of
// Silence again if there may be others.
//
// A client that leaves the body of a request half sent, or a response half
// read, counts only if othersWait: no work is left in a process without a
// successor, and all other clients wait until it has ended.
func (r *Registry) Silent(since time.Time, othersWait bool) Waiting {
	r.drain.watching.Store(false)
	var silent Waiting
	next := time.Duration(0)
	for _, member := range r.All() {
		c, ok := member.(*conn)
		if !ok || c.cut.Load() {
			continue
		}
		left := r.config.Silence // to look again
		switch {
		case c.isUnfinished():
			left = c.silenceLeft(r.config.Silence, since)
		case !c.isAnswering():
			continue
		case othersWait && c.isOwedBody():
			left = c.silenceLeft(bodySilences*r.config.Silence, since)
		case othersWait && hasClock(c.Raw) && c.isUnread(bodySilences*r.config.Silence):
			silent.Responses++
			silent.conns = append(silent.conns, c)
			continue
		}
		if left <= 0 {
			silent.Requests++
			silent.conns = append(silent.conns, c)
		} else if next == 0 || left < next {
			next = left
		}
	}
	if next > 0 {
		r.drain.watching.Store(true)
		r.drain.silent.Reset(next)
	}
	return silent
}

// hasClock reports whether fdutil.SendStalled looks at more than this moment.
func hasClock(nc net.Conn) bool {
	switch t := nc.(type) {
	case *net.TCPConn, *around.Conn:
		return true
	case *secured:
		return hasClock(t.Socket)
	default:
		return false
	}
}
