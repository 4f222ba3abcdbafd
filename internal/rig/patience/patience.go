// Package patience is where tests get their limits in time from.
//
// A limit says when a test that waits gives up. It has to be short enough that
// a fault shows, and long enough that a slow or busy machine is no fault. No
// single number is both, so each limit is for an ordinary machine, and [Of]
// stretches it by how much longer than there a process takes to start here and
// now. A process start is what most waits of the tests consist of, and it
// suffers from all that slows a machine down: other processes, the race
// detector, memory, the disk.
//
// No limit is made shorter, and a limit that is not reached costs nothing. So
// where a test waits for an event let the limit be generous to begin with.
package patience

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ordinary is how long the test binaries take to start on an idle machine
	// of the kind that CI has, with the race detector, and some more.
	ordinary = 100 * time.Millisecond
	// starts is how often each measurement starts a process. The slowest
	// counts.
	starts = 3
	// valid is how long a measurement is good for.
	valid = 20 * time.Second
	// most is beyond what any machine needs on which the tests can be run.
	most = 50
	// interval is how often Until looks at the most.
	interval = 5 * time.Millisecond
	// rest is for how many times as long as it has looked Until then rests: a
	// look may be a process, and those that it waits for need the processor.
	rest = 3
	// longest is the longest rest: what comes to pass is seen by then.
	longest = 200 * time.Millisecond
)

// probe has a program that imports this package end at once.
const probe = "HEIRLOOM_PATIENCE_PROBE"

func init() {
	if os.Getenv(probe) != "" {
		os.Exit(0)
	}
}

// Of returns the limit d for this machine as it is now: d or more.
func Of(d time.Duration) time.Duration {
	return time.Duration(float64(d) * machine.factor())
}

// Deadline is when a limit d that begins now is over.
func Deadline(d time.Duration) time.Time { return time.Now().Add(Of(d)) }

// Context is context.WithTimeout with the limit d.
func Context(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, Of(d))
}

// Until looks again and again whether cond holds, for what tells nobody of its
// changes, and returns false if it still does not when the limit d is over. A
// machine that has become slower meanwhile is given the time that it would have
// been given had it been so from the beginning.
func Until(d time.Duration, cond func() bool) bool {
	began := time.Now()
	limit := Of(d)
	for {
		looked := time.Now()
		if cond() {
			return true
		}
		took := time.Since(looked)
		if time.Since(began) > limit {
			if limit = max(limit, time.Duration(float64(d)*machine.anew())); time.Since(began) > limit {
				return cond()
			}
		}
		time.Sleep(min(max(interval, rest*took), longest))
	}
}

var machine gauge

// A gauge knows how slow this machine is. The zero value has not looked yet.
type gauge struct {
	mu       sync.Mutex // held to measure
	measured atomic.Pointer[measurement]
}

type measurement struct {
	at     time.Time
	last   float64 // what was measured
	factor float64 // and with the one before
}

// factor is at least 1. Only the first call waits for others to measure.
func (g *gauge) factor() float64 {
	m := g.measured.Load()
	switch {
	case m == nil:
		g.mu.Lock()
	case time.Since(m.at) < valid || !g.mu.TryLock():
		return m.factor
	}
	defer g.mu.Unlock()
	if now := g.measured.Load(); now != m {
		return now.factor
	}
	return g.measure()
}

// anew is factor by a new measurement.
func (g *gauge) anew() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.measure()
}

// measure is called with mu held. Load comes and goes, so the measurement
// before counts as well.
func (g *gauge) measure() float64 {
	last := slowness(slowest())
	factor := last
	if before := g.measured.Load(); before != nil {
		factor = max(factor, before.last)
	}
	g.measured.Store(&measurement{time.Now(), last, factor})
	return factor
}

// slowness is the factor for a machine on which a process takes so long to
// start.
func slowness(took time.Duration) float64 {
	return min(max(float64(took)/float64(ordinary), 1), most)
}

// slowest starts this program a few times, and returns how long it took to end
// at the longest. Where it cannot be started that is no time at all.
func slowest() (longest time.Duration) {
	program, err := os.Executable()
	if err != nil {
		return 0
	}
	// The race detector would else spend a second at the end.
	environment := []string{probe + "=yes", "GORACE=atexit_sleep_ms=0"}
	for range starts {
		began := time.Now()
		process, err := os.StartProcess(program, []string{program}, &os.ProcAttr{Env: environment})
		if err != nil {
			return longest
		}
		_, _ = process.Wait()
		longest = max(longest, time.Since(began))
	}
	return longest
}
