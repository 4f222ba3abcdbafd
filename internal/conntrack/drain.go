package conntrack

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Sink takes connections at rest, which it owns from then on: the successor,
// or a queue for a process that is still to come. Goroutines share it.
type Sink interface {
	// Serves reports whether the connections of e can go there.
	Serves(e *Endpoint) bool
	// Pass must not wait.
	Pass(c Conn)
	// IsFull reports whether connections are to stay for now.
	IsFull() bool
}

// A drain is what all connections of a process have to know of its drain.
type drain struct {
	began atomic.Bool // Linger was called
	sink  atomic.Pointer[Sink]

	mu       sync.Mutex // guards ends, and that lingered is set by its timer alone
	ends     time.Time  // of the linger
	linger   *time.Timer
	lingered atomic.Bool // the linger is over: connections at rest that cannot move are closed

	lateness *time.Timer
	late     atomic.Bool // time is running out: what never rests is told Connection: close

	silent   *time.Timer // for clients that keep the drain waiting
	watching atomic.Bool // silent is set
}

func (d *drain) init(r *Registry) {
	d.linger = time.AfterFunc(farOff, r.endLinger)
	d.lateness = time.AfterFunc(farOff, func() { d.late.Store(true) })
	d.silent = time.NewTimer(farOff)
	d.linger.Stop()
	d.lateness.Stop()
	d.silent.Stop()
}

// farOff is the time of a timer that is not to run yet.
const farOff = 365 * 24 * time.Hour

// LeaveTo makes s the Sink of connections at rest, nil for none.
func (r *Registry) LeaveTo(s Sink) { r.drain.sink.Store(&s) }

// Sink returns who takes connections at rest, nil if there is none.
func (r *Registry) Sink() Sink {
	if s := r.drain.sink.Load(); s != nil {
		return *s
	}
	return nil
}

// Linger has connections at rest that cannot move served for Config.Linger from
// now on. Those that are still at rest then are closed.
func (r *Registry) Linger() {
	d := &r.drain
	d.began.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lingered.Store(false)
	d.ends = time.Now().Add(r.config.Linger)
	d.linger.Reset(r.config.Linger)
}

// endLinger may run when another linger has just begun.
func (r *Registry) endLinger() {
	d := &r.drain
	d.mu.Lock()
	over := !time.Now().Before(d.ends)
	if over {
		d.lingered.Store(true)
	}
	d.mu.Unlock()
	if over {
		r.ReleaseAtRest()
	}
}

// LateIn says after how much time responses are to say Connection: close even
// where connections move: those that never rest would not leave otherwise.
func (r *Registry) LateIn(d time.Duration) { r.drain.lateness.Reset(d) }

// IsLate reports whether that time is over.
func (r *Registry) IsLate() bool { return r.drain.late.Load() }

// watchSilence sets the timer of Silence, unless it is set.
func (r *Registry) watchSilence() {
	if !r.drain.watching.Load() && !r.drain.watching.Swap(true) {
		r.drain.silent.Reset(r.config.Silence)
	}
}

// Stop stops the timers.
func (r *Registry) Stop() {
	r.drain.linger.Stop()
	r.drain.lateness.Stop()
	r.drain.silent.Stop()
}

// pass gives a connection that left its server to the Sink.
func (r *Registry) pass(c Conn) {
	if s := r.Sink(); s != nil {
		s.Pass(c)
		return
	}
	r.TakeBack([]Conn{c})
}

// TakeBack serves connections here that the Sink did not take: their next
// response is their last here. A session of TLS goes to another Sink if there is
// one, or is closed if its state was sent (see Forget).
func (r *Registry) TakeBack(conns []Conn) {
	if len(conns) > 0 {
		r.Linger()
		r.restore(conns, Lingering)
	}
}

// ServeMeanwhile serves connections here until the Sink has room for them:
// their clients need not know. Late in a drain that is too much to hope for,
// and they are taken back.
func (r *Registry) ServeMeanwhile(conns []Conn) {
	if r.IsLate() {
		r.TakeBack(conns)
		return
	}
	r.restore(conns, Serving)
}

func (r *Registry) restore(conns []Conn, p Phase) {
	for _, c := range conns {
		i := c.Base()
		i.Endpoint.StopMoving(p)
		switch {
		case i.isSpent(): // nobody has it, so its close(2) may be the last
			r.sessions.lost.Add(1)
			r.config.Close(i.Raw)
			r.Remove(c)
		case i.spent && p == Lingering && r.passOn(c):
		default:
			c.Restore(p == Serving)
			r.Remove(c)
		}
	}
}

// passOn gives a session of TLS that one Sink did not take to another. It
// reports whether there is one.
func (r *Registry) passOn(c Conn) bool {
	sink := r.Sink()
	if sink == nil || !sink.Serves(c.Base().Endpoint) || sink.IsFull() {
		return false
	}
	sink.Pass(c)
	return true
}
