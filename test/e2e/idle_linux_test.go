package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestIdle10000 replaces a process that has ten thousand idle connections, or as
// many as sdtest.Rounds says, and then kills it: each of them is kept, and few
// or many makes no difference to systemd. How long a restart takes with either
// is in the log.
func TestIdle10000(t *testing.T) {
	raiseDescriptorLimit(t, 15000)
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			few, many := startManaged(t, v, withoutSocket, often), startManaged(t, v, withoutSocket, often)
			generation, all := 1, sdtest.Rounds(v, 10000)
			fewCallers, manyCallers := few.connect(10), many.connect(all)
			fewCallers.expect(generation)
			manyCallers.expect(generation)
			for range 2 {
				generation++
				mustReload(t, few)
				mustReload(t, many)
				settled(t, few) // until then the predecessor may answer as well
				settled(t, many)
				fewCallers.expect(generation)
				manyCallers.expect(generation)
			}
			var a, b []cost
			for range 3 {
				generation++
				a = append(a, restartCost(t, few, fewCallers, generation))
				b = append(b, restartCost(t, many, manyCallers, generation))
			}
			t.Logf("few connections: %v", a)
			t.Logf("many: %v", b)
			if got, limit := median(b), 3*median(a)+500*time.Millisecond; got > limit {
				t.Errorf("a restart took %v of systemd's time with many connections, want %v at most", got, limit)
			}
			for range max(sdtest.Rounds(v, 10), 3) {
				generation++
				killIdle(t, many, manyCallers, generation, all)
			}
		})
	}
	t.Run("terminal", func(t *testing.T) {
		h := newForeground(t)
		h.install(program("v1"))
		h.start()
		callers := call(t, h.target(), sdtest.Rounds(sdtest.V262, 10000))
		for generation := 2; generation <= 4; generation++ {
			mustReload(t, h)
			callers.expect(generation)
		}
	})
}

// killIdle kills a process all of whose connections are at rest, and has each of
// them answered by the next generation.
func killIdle(t *testing.T, h *managed, c *callers, generation, all int) {
	t.Helper()
	began := time.Now()
	h.keeps(all)
	poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond }) // see ledger.Adopted.Dropped
	if s := h.crashed(); s.Generation != generation {
		t.Errorf("generation %d after a kill, want %d", s.Generation, generation)
	}
	c.expect(generation)
	h.keeps(all)
	if s := h.tookOver(); s.Ledger.Adopted != all || s.Ledger.Cut+s.Ledger.Lost > 0 {
		t.Errorf("%+v", s.Ledger)
	}
}

// A cost is what a restart took: the time until systemctl returned, and the
// processor's time for systemd.
type cost struct{ elapsed, manager time.Duration }

func (c cost) String() string {
	return fmt.Sprintf("%v (systemd: %v)", c.elapsed.Round(time.Millisecond), c.manager.Round(time.Millisecond))
}

// restartCost restarts, and has every connection answered by the next
// generation, before it looks at systemd's time.
func restartCost(t *testing.T, h *managed, c *callers, generation int) cost {
	t.Helper()
	began, manager := time.Now(), managerTime(t, h)
	mustRestart(t, h)
	elapsed := time.Since(began)
	c.expect(generation)
	return cost{elapsed, managerTime(t, h) - manager}
}

// median is that of systemd's time.
func median(costs []cost) time.Duration {
	var list []time.Duration
	for _, c := range costs {
		list = append(list, c.manager)
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// managerTime is how long the threads of the machine's PID 1 have run.
func managerTime(t *testing.T, h *managed) time.Duration {
	t.Helper()
	threads, err := filepath.Glob(filepath.Dir(h.machine.Root()) + "/task/*/schedstat")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of PID 1: %v, %v", threads, err)
	}
	var total time.Duration
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that closed a descriptor, and has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		var ran int64 // nanoseconds on a processor come first (Documentation/scheduler/sched-stats.rst)
		if _, err := fmt.Sscan(string(text), &ran); err != nil {
			t.Fatalf("%s: %q: %v", path, text, err)
		}
		total += time.Duration(ran)
	}
	return total
}

// raiseDescriptorLimit has this process, and those it starts from now on, open
// n files at least.
func raiseDescriptorLimit(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(limit.Max, n)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		missing(t, fmt.Errorf("raise the limit of open files to %d: %w", n, err))
	}
}
