package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/loadtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestStorm asks for reloads faster than they can be done, while requests of three seconds keep every generation from
// ending.
func TestStorm(t *testing.T) {
	everywhereAtOnce(t, func(t *testing.T, p place, h host) {
		crowd := loadtest.Start(h.target(), crowd())
		target := h.target()
		target.SlowFor = 3 * time.Second
		var slow []*loadtest.Run
		for range 30 {
			slow = append(slow, loadtest.Start(target, map[loadtest.Class]int{loadtest.Slow: 1}))
			h.signal()
			time.Sleep(20 * time.Millisecond) // the interval is what is tested
		}
		var s lifecycle.Status
		h.wait("the reloads to end", func() bool {
			s = h.status()
			return s.State == lifecycle.Ready
		})
		if !p.inPlace {
			checkDraining(t, s)
		}
		verify(t, crowd)
		var stopping sync.WaitGroup
		for _, run := range slow {
			stopping.Go(func() { verify(t, run) })
		}
		stopping.Wait()
		t.Logf("%d generations drained at once", len(s.Predecessors))
		settled(t, h)
	})
}

// checkDraining checks that many generations drain, with the requests that they began.
func checkDraining(t *testing.T, s lifecycle.Status) {
	t.Helper()
	if len(s.Predecessors) < 5 {
		t.Errorf("%d generations drain, though each has a request of three seconds", len(s.Predecessors))
	}
	requests := 0
	for _, p := range s.Predecessors {
		requests += p.Requests
		if p.Error != "" {
			t.Errorf("generation %d: %s", p.Generation, p.Error)
		}
	}
	if requests == 0 {
		t.Errorf("no request in flight in the draining generations: %+v", s.Predecessors)
	}
}
