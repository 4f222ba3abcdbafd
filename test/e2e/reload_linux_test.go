package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestReload is what the project exists for: a hundred reloads, and no client
// notices. TestInPlace is the same in place.
func TestReload(t *testing.T) {
	at(t, sideBySide(), func(t *testing.T, p place, h host) {
		if err := h.reload(); err != nil {
			t.Fatal(err)
		}
		first := settled(t, h)
		descriptors, threads := idleDescriptors(t, h, first.PID), h.threads(first.PID)

		run := loadtest.Start(h.target(), crowd())
		reloads := p.rounds(100)
		for i := 2; i <= reloads; i++ {
			if err := h.reload(); err != nil {
				t.Fatalf("reload %d: %v", i, err)
			}
		}
		ctx, cancel := patience.Context(t.Context(), 30*time.Second)
		defer cancel()
		if err := run.WaitGeneration(ctx, reloads+1); err != nil {
			t.Errorf("generation %d has not answered: %v", reloads+1, err)
		}
		verify(t, run)

		if s := settled(t, h); s.Generation != reloads+1 || s.LastReload == nil || s.LastReload.Result != "done" {
			t.Errorf("status %+v, want generation %d", s, reloads+1)
		}
		if err := h.reload(); err != nil { // a process that has had no load, like the first
			t.Fatal(err)
		}
		last := settled(t, h)
		if d := idleDescriptors(t, h, last.PID); d != descriptors {
			t.Errorf("%d descriptors, after the first reload it were %d", d, descriptors)
		}
		checkThreads(t, h, last.PID, threads)
		if p.manager {
			checkManager(t, h.(*managed), last.PID)
		}
		h.stop()
		if left := h.processes(); len(left) > 0 {
			t.Errorf("processes left after stop: %v", left)
		}
	})
}

// checkManager checks that systemd and the service agree.
func checkManager(t *testing.T, h *managed, pid int) {
	t.Helper()
	if got := h.processes(); len(got) != 1 || got[0].ppid != 1 {
		t.Errorf("processes %+v, want one whose parent is PID 1", got)
	}
	for property, want := range map[string]string{
		"MainPID": itoa(pid), "ActiveState": "active", "SubState": "running", "Result": "success", "NRestarts": "0",
	} {
		if got := h.machine.Property("hello.service", property); got != want {
			t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
	checkJournal(t, h)
}

// checkJournal looks for complaints.
func checkJournal(t *testing.T, h *managed) {
	t.Helper()
	journal := h.machine.Journal("-b")
	for _, complaint := range []string{"not our child", "reception only permitted", "SIGKILL", "timed out", "panic", "more fds"} {
		for line := range strings.Lines(journal) {
			if strings.Contains(line, complaint) {
				t.Errorf("journal: %s", line)
			}
		}
	}
}
