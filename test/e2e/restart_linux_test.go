package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// everyManager runs a test on each systemd, with a socket unit and without one:
// both on the newest.
func everyManager(t *testing.T, test func(t *testing.T, h *managed), changes ...change) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		if v != sdtest.V257 || sdtest.Thorough(v) {
			t.Run("socket-"+v.String(), func(t *testing.T) {
				t.Parallel()
				test(t, startManaged(t, v, append([]change{often}, changes...)...))
			})
		}
		if v != sdtest.V252 || sdtest.Thorough(v) {
			t.Run("alone-"+v.String(), func(t *testing.T) {
				t.Parallel()
				test(t, startManaged(t, v, append([]change{withoutSocket, often}, changes...)...))
			})
		}
	}
}

func startManaged(t *testing.T, v sdtest.Version, changes ...change) *managed {
	t.Helper()
	h := newManaged(t, v, changes...)
	h.install(program("v1"))
	h.start()
	return h
}

func mustRestart(t *testing.T, h *managed) {
	t.Helper()
	if err := h.restart(); err != nil {
		t.Fatal(err)
	}
}

func mustReload(t *testing.T, h host) {
	t.Helper()
	if err := h.reload(); err != nil {
		t.Fatal(err)
	}
}

// measure counts the descriptors of the process when the store holds what it is
// to hold and no more: the handover socket, the three descriptors of the ledger,
// and the listener if no socket unit has it. What a service tells systemd
// arrives a moment later.
func measure(t *testing.T, h *managed) int {
	t.Helper()
	want := 4
	if h.alone() {
		want++
	}
	s := settled(t, h)
	h.wait(fmt.Sprintf("%d descriptors to be stored", want), func() bool { return h.stored() == want })
	return idleDescriptors(t, h, s.PID)
}

// checkMeasure wants what measure says to be as it was before. Connections that
// clients have left may take a moment to be closed.
func checkMeasure(t *testing.T, h *managed, before int) {
	t.Helper()
	after := 0
	h.wait(fmt.Sprintf("%d descriptors to be open, as before", before), func() bool {
		after = measure(t, h)
		return after <= before
	})
	if after != before {
		t.Errorf("%d descriptors, before it were %d", after, before)
	}
}

// waitGeneration waits until that generation has answered.
func waitGeneration(t *testing.T, run *loadtest.Run, generation int) {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), 30*time.Second)
	defer cancel()
	if err := run.WaitGeneration(ctx, generation); err != nil {
		t.Errorf("generation %d has not answered: %v", generation, err)
	}
}

// TestRestart replaces the process a hundred times under load, or as often as
// sdtest.Rounds says, and no client notices: requests are under way on some
// connections, others rest, and yet others have sent nothing. Restarts follow
// restarts, and reloads, and the other way round.
func TestRestart(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		mustRestart(t, h)
		before := measure(t, h)
		run := loadtest.Start(brisk(h), crowd())
		times := sdtest.Rounds(h.version, 100)
		for i := 2; i <= times; i++ {
			if i%4 == 0 {
				mustReload(t, h)
			} else {
				mustRestart(t, h)
			}
		}
		waitGeneration(t, run, times+1)
		verify(t, run)
		if s := settled(t, h); s.Generation != times+1 || s.State != lifecycle.Ready {
			t.Errorf("status %+v, want generation %d", s, times+1)
		}
		mustRestart(t, h) // a process that has had no load, like the first
		checkMeasure(t, h, before)
		checkManager(t, h, h.status().PID)
	})
}

// TestManagerReplaced has systemd read its units anew and replace itself, which
// must not cost it what it stores.
func TestManagerReplaced(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		mustRestart(t, h)
		before := measure(t, h)
		run := loadtest.Start(brisk(h), crowd())
		for range 3 {
			for _, command := range []string{"daemon-reload", "daemon-reexec"} {
				mustReload(t, h)
				h.machine.MustRun("systemctl", command)
				mustRestart(t, h)
				h.machine.MustRun("systemctl", command)
			}
		}
		waitGeneration(t, run, 14)
		verify(t, run)
		mustRestart(t, h)
		checkMeasure(t, h, before)
		checkManager(t, h, h.status().PID)
	})
}

// TestForeign puts a program in hello's place for one restart that has not
// heard of what it finds there, and then hello again.
func TestForeign(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		before := measure(t, h)
		idle, waiting := call(t, h.target(), 50), call(t, h.target(), 50)
		h.install(script(t, "#!/bin/sh", "systemd-notify --ready", "exec sleep 1000"))
		mustRestart(t, h)
		waiting.send()
		h.install(program("v2"))
		mustRestart(t, h)
		if low, high := waiting.receive(); low != 2 || high != 2 {
			t.Errorf("generations %d to %d have answered what was asked meanwhile, want 2", low, high)
		}
		idle.expect(2)
		if s := settled(t, h); s.Version != "v2" {
			t.Errorf("status %+v, want version v2", s)
		}
		idle.hangUp()
		waiting.hangUp()
		mustRestart(t, h)
		checkMeasure(t, h, before)
	}, setting("Service", "NotifyAccess", "all"), setting("Service", "TimeoutStopSec", "10s"))
}
