package e2e_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestBuildsProtocol1 has a build of protocol 1 and today's refuse each other:
// the reload fails, and the old process serves on. After a restart the other
// build serves, without what the one before has stored.
func TestBuildsProtocol1(t *testing.T) {
	t.Parallel()
	for first, test := range map[string]struct{ second, reason string }{
		protocol1: {today, "handover protocol of another version: the other process speaks 1"},
		today:     {protocol1, "ended before it was ready"}, // it does not say more to one that it does not understand
	} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			h := newManaged(t, sdtest.V262, often, withoutSocket)
			h.install(buildOf(t, "hello", first))
			h.start()
			run := loadtest.Start(h.target(), map[loadtest.Class]int{loadtest.KeepAlive: 10, loadtest.Upload: 3})
			waitGeneration(t, run, 1)
			h.install(buildOf(t, "hello", test.second))
			for range 2 {
				if err := h.reload(); err == nil {
					t.Error("the reload did not fail")
				}
				checkBuild(t, h, first, 1)
				if last := h.status().LastReload; last == nil || last.Result != "failed" || !strings.Contains(last.Reason, test.reason) {
					t.Errorf("last reload %+v, want it failed for %q", last, test.reason)
				}
			}
			verify(t, run)
			idle := call(t, h.target(), 3)
			idle.expect(1)
			mustRestart(t, h)
			if s := h.status(); s.Version != test.second {
				t.Errorf("status %+v, want %s", s, test.second)
			}
			const dropped = "dropping what a process of an older version stored"
			count := func() int { return strings.Count(h.machine.Journal("-u", "hello.service"), dropped) }
			if first == protocol1 {
				h.wait("the journal to say what is dropped", func() bool { return count() > 0 })
				if n := count(); n != 1 {
					t.Errorf("%d lines %q in the journal, want one", n, dropped)
				}
			}
			h.stop()
		})
	}
}
