package lifecycle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// freeze stops a process by SIGSTOP. It waits until all threads have stopped: for
// a moment those on another processor go on.
func (d *local) freeze(pid int) {
	d.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	d.eventually("the process to stop", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, thread := range threads {
			if text, err := os.ReadFile(thread); err != nil || !strings.Contains(string(text), ") T ") {
				return false
			}
		}
		return err == nil && len(threads) > 0
	})
}

// TestFrozenPredecessor stops a predecessor that drains, and reloads the
// service until the predecessor's socket holds no more: the main process does
// not mind.
func TestFrozenPredecessor(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=3h")
	d.reconfigure(strings.Repeat("x", 250) + "!" + d.address)
	d.reload()
	busy := d.dial()
	d.underWay(busy, "/?d=1h")
	frozen := d.status().PID
	d.reload()
	d.freeze(frozen)
	t.Cleanup(func() { _ = syscall.Kill(frozen, syscall.SIGCONT) })
	full := func() bool { return strings.Contains(fmt.Sprint(d.status().Predecessors), "does not read") }
	for n := 1; n%10 != 0 || !full(); n++ {
		if n > 1000 {
			t.Fatal("the socket of the stopped predecessor never fills")
		}
		d.reloadHere()
	}
	for range 3 { // with a full queue
		d.reload()
	}
	d.eventually("the stopped predecessor to be the only one", func() bool {
		p := d.status().Predecessors
		return len(p) == 1 && p[0].PID == frozen
	})
	if err := syscall.Kill(frozen, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.eventually("the predecessor to answer again", func() bool {
		p := d.status().Predecessors
		return len(p) == 1 && p[0].Error == "" && p[0].Requests == 1
	})
}
