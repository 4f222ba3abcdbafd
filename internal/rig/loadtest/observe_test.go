package loadtest_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// TestObserve asks a server that answers every fifth request of a connection
// wrongly, and compares what is observed with the report.
func TestObserve(t *testing.T) {
	server := startRawServer(t, func(c *rawConn) {
		for n := 1; c.next(); n++ {
			if n%5 == 0 {
				c.write(formatAnswer(503, len(c.body()), c.body()))
				continue
			}
			c.answer(c.body())
		}
	})
	var mu sync.Mutex
	seen, broken, generations := map[loadtest.Class]int{}, map[loadtest.Class]int{}, map[int]int{}
	longest := map[loadtest.Class]time.Duration{}
	began := time.Now()
	target := brisk(server.listener.Addr().String())
	enough := make(chan struct{})
	target.Observe = func(o loadtest.Observation) {
		mu.Lock()
		defer mu.Unlock()
		seen[o.Class] += max(o.Broken, 1)
		broken[o.Class] += o.Broken
		longest[o.Class] = max(longest[o.Class], o.Took)
		if o.Broken == 0 {
			generations[o.Generation]++
		}
		if (o.Generation == 0) != (o.Broken > 0) || (o.Took == 0) != (o.Broken > 0) || (o.Err != nil) != (o.Broken > 0) || o.At.Before(began) || time.Since(o.At) < 0 {
			t.Errorf("observed %+v", o)
		}
		if seen[loadtest.KeepAlive] >= 20 && seen[loadtest.Pipelined] >= 20 {
			select {
			case <-enough:
			default:
				close(enough)
			}
		}
	}
	run := loadtest.Start(target, map[loadtest.Class]int{loadtest.KeepAlive: 2, loadtest.Pipelined: 1})
	<-enough
	report := run.Stop()
	mu.Lock()
	defer mu.Unlock()
	for _, c := range report.ByClass {
		if seen[c.Class] != c.Requests || broken[c.Class] != c.Broken || broken[c.Class] == 0 || longest[c.Class] != c.Latency.Max {
			t.Errorf("%s: observed %d requests, %d broken, at most %v; the report says %+v",
				c.Class, seen[c.Class], broken[c.Class], longest[c.Class], c)
		}
	}
	if !maps.Equal(generations, report.Generations) {
		t.Errorf("observed answers of generations %v, the report says %v", generations, report.Generations)
	}
}
