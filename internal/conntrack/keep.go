package conntrack

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// keepTick is how often connections are entered in the ledger. One that was
// accepted here has lived for one to two ticks by then, so that clients which
// connect for one request cost nothing.
const keepTick = 50 * time.Millisecond

// keepSoon is how long those wait for one another that have lived that long
// already, in a first request or in another process: a new version of the
// program may crash as soon as it has them.
const keepSoon = 5 * time.Millisecond

// A keeper enters connections in a ledger, by which they outlive the process.
// The mutex of the Registry guards it.
type keeper struct {
	ledger     *ledger.Ledger
	failed     func(error)
	tick, soon time.Duration
	timer      *time.Timer
	armed      bool       // the timer is set
	hurried    bool       // to soon
	ripe       []keepable // to be entered when the timer runs
	ages       time.Time  // the next tick, when old is ripe and young becomes old
	young, old []keepable
}

// A keepable is a Conn that may be kept. See conn.
type keepable interface {
	candidate() (ledger.Candidate, bool)
	hasSettled() bool
	Base() *Info
}

// KeepIn has connections of TCP that can move kept in l from now on, once they
// have lived for a moment and are at rest. Those that are there already are
// included. failed is called, in a goroutine, with the reason why some cannot
// be kept. Keeping costs a request two stores into memory.
func (r *Registry) KeepIn(l *ledger.Ledger, failed func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeper = keeper{ledger: l, failed: failed, tick: keepTick, soon: keepSoon, timer: time.AfterFunc(farOff, r.enterSome)}
	r.keeper.timer.Stop()
	for c := range r.conns {
		r.keeper.addRipe(c)
	}
}

// StopKeeping has no more connections kept. It is called before any of them may
// leave the process, and the ledger is ended by the caller.
func (r *Registry) StopKeeping() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keeper.timer != nil {
		r.keeper.timer.Stop()
	}
	r.keeper = keeper{}
}

// add has a connection entered if it lives long enough. One that ends before is
// skipped then.
func (k *keeper) add(member Conn) {
	if c := k.keepable(member); c != nil {
		if len(k.young)+len(k.old) == 0 {
			k.ages = time.Now().Add(k.tick)
		}
		k.young = append(k.young, c)
		k.arm()
	}
}

// addRipe has a connection entered soon that has lived long enough.
func (k *keeper) addRipe(member Conn) {
	if c := k.keepable(member); c != nil {
		k.ripe = append(k.ripe, c)
		k.hurry()
	}
}

// keepable returns nil for what cannot be kept.
func (k *keeper) keepable(member Conn) keepable {
	if c, ok := member.(keepable); ok && k.ledger != nil && member.Base().mark != nil {
		return c
	}
	return nil
}

func (k *keeper) arm() {
	if !k.armed {
		k.armed = true
		k.timer.Reset(time.Until(k.ages))
	}
}

// hurry has the timer run soon.
func (k *keeper) hurry() {
	if !k.hurried {
		k.armed, k.hurried = true, true
		k.timer.Reset(k.soon)
	}
}

// enterSome runs by the timer.
func (r *Registry) enterSome() {
	l, failed, due := r.dueToEnter()
	if l == nil {
		return
	}
	batches := make(map[*Endpoint][]ledger.Candidate)
	for _, c := range due {
		e, mark := c.Base().Endpoint, c.Base().mark
		if !c.hasSettled() {
			mark.PassOver()
			if !c.hasSettled() || !mark.Reconsider() {
				continue // it is added again when it comes to rest
			}
		}
		if candidate, ok := c.candidate(); ok {
			batches[e] = append(batches[e], candidate)
		}
	}
	for e, batch := range batches {
		if err := l.Enter(e.Name, e.Listener.Addr().String(), batch); err != nil {
			failed(err)
		}
	}
}

// dueToEnter returns the connections that have lived long enough, for the
// caller. The ledger is nil if there is nothing to do.
func (r *Registry) dueToEnter() (l *ledger.Ledger, failed func(error), due []keepable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.keeper
	k.armed, k.hurried = false, false
	if k.ledger == nil {
		return nil, nil, nil
	}
	now := time.Now()
	if k.ledger.IsAdopting() {
		k.ages = now.Add(k.tick)
		k.arm()
		return nil, nil, nil
	}
	due, k.ripe = k.ripe, nil
	if !now.Before(k.ages) {
		due = append(due, k.old...)
		k.old, k.young, k.ages = k.young, nil, now.Add(k.tick)
	}
	if len(k.young)+len(k.old) > 0 {
		k.arm()
	}
	return k.ledger, k.failed, due
}

// keepAgain has a connection entered that was passed over: it was in the middle
// of its first request when it had lived long enough.
func (r *Registry) keepAgain(c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.conns[c]; found {
		r.keeper.addRipe(c)
	}
}

// keepArrived has a connection entered that has lived in another process. It is
// added as every other is, and skipped when its turn comes.
func (r *Registry) keepArrived(c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeper.addRipe(c)
}

// unkeep takes a connection out of the ledger that is about to be closed here.
// Where the ledger has a duplicate, that would keep it open.
func (i *Info) unkeep() {
	if i.mark != nil && i.mark.Close() {
		fdutil.ShutDown(i.Raw)
	}
}

// leaveLedger takes a connection out of the ledger that is about to leave the
// process.
func (i *Info) leaveLedger() {
	if i.mark != nil {
		_ = i.mark.Close()
	}
}
