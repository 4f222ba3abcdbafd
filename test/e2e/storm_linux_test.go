package e2e_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// manyDrain is how many generations are to drain at once, at the least.
const manyDrain = 5

// TestStorm asks for reloads faster than they can be done, while slow requests
// keep every generation from ending. On a machine where reloads take so long
// that few drain at once, the requests are made slower. In place none drains
// beside another: see TestInPlaceStorm.
func TestStorm(t *testing.T) {
	at(t, sideBySide(), func(t *testing.T, _ place, h host) {
		for slowFor := patience.Of(3 * time.Second); ; slowFor *= 3 {
			s := storm(t, h, slowFor)
			t.Logf("%d generations drained at once, with requests of %v", len(s.Predecessors), slowFor)
			if len(s.Predecessors) >= manyDrain || slowFor > time.Minute {
				checkDraining(t, s)
				return
			}
		}
	})
}

// storm returns the status when the last reload is done.
func storm(t *testing.T, h host, slowFor time.Duration) lifecycle.Status {
	t.Helper()
	crowd := loadtest.Start(h.target(), crowd())
	target := h.target()
	target.SlowFor = slowFor
	var slow []*loadtest.Run
	for range 30 {
		slow = append(slow, loadtest.Start(target, map[loadtest.Class]int{loadtest.Slow: 1}))
		h.signal()
		time.Sleep(20 * time.Millisecond) // the interval is what is tested
	}
	var s lifecycle.Status
	h.wait("the reloads to end, and every generation to tell how it is", func() bool {
		s = h.status()
		return s.State == lifecycle.Ready && !slices.ContainsFunc(s.Predecessors, func(p lifecycle.Predecessor) bool { return p.Error != "" })
	})
	verify(t, crowd)
	var stopping sync.WaitGroup
	for _, run := range slow {
		stopping.Go(func() { verify(t, run) })
	}
	stopping.Wait()
	settled(t, h)
	return s
}

// checkDraining checks that many generations drain, with the requests that they
// began.
func checkDraining(t *testing.T, s lifecycle.Status) {
	t.Helper()
	if len(s.Predecessors) < manyDrain {
		t.Errorf("%d generations drain, however slow their requests", len(s.Predecessors))
	}
	requests := 0
	for _, p := range s.Predecessors {
		requests += p.Requests
	}
	if requests == 0 {
		t.Errorf("no request in flight in the draining generations: %+v", s.Predecessors)
	}
}
