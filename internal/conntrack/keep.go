package conntrack

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// keepTick is how often connections are entered in the ledger. Each has lived
// for one to two ticks by then, so that clients which connect for one request
// cost nothing.
const keepTick = 50 * time.Millisecond

// A keeper enters connections in a ledger, by which they outlive the process.
// The mutex of the Registry guards it.
type keeper struct {
	ledger     *ledger.Ledger
	failed     func(error)
	timer      *time.Timer
	armed      bool
	young, old []keepable // to be entered by the tick after the next one, and by the next one
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
	r.keeper = keeper{ledger: l, failed: failed, timer: time.AfterFunc(farOff, r.enterSome)}
	r.keeper.timer.Stop()
	for c := range r.conns {
		r.keeper.add(c)
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
	if k.ledger == nil {
		return
	}
	if c, ok := member.(keepable); ok && member.Base().mark != nil {
		k.young = append(k.young, c)
		k.arm()
	}
}

func (k *keeper) arm() {
	if !k.armed {
		k.armed = true
		k.timer.Reset(keepTick)
	}
}

// enterSome is the tick.
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
	k.armed = false
	if k.ledger == nil {
		return nil, nil, nil
	}
	if k.ledger.IsAdopting() {
		k.arm()
		return nil, nil, nil
	}
	due = k.old
	k.old, k.young = k.young, nil
	if len(k.old) > 0 {
		k.arm()
	}
	return k.ledger, k.failed, due
}

// keepAgain has a connection entered that was passed over.
func (r *Registry) keepAgain(c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.conns[c]; found {
		r.keeper.add(c)
	}
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
