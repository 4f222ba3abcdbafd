package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// A failure is a program that cannot succeed the one that runs, and what is
// said about it.
type failure struct {
	name   string
	spoil  func(t *testing.T, h host)
	reason string
	early  bool // shows before the program is started
	rare   bool // takes as long as a reload may, and is like another one: it need not be tried everywhere
}

func failures() []failure {
	place := func(name string) func(*testing.T, host) {
		return func(_ *testing.T, h host) { h.install(program(name)) }
	}
	placeScript := func(lines ...string) func(*testing.T, host) {
		return func(t *testing.T, h host) { h.install(script(t, lines...)) }
	}
	return []failure{
		{"exits", placeScript("#!/bin/sh", "exit 3"), "ended before it was ready", false, false},
		{"hangs", place("hang"), "not ready within 10s", false, false},
		{"crashes just before it is ready", place("crash"), "ended before it was ready", false, false},
		{"refuses its configuration", place("refuse"), `no such color: "blau"`, false, false},
		{"is no heirloom program", placeScript("#!/bin/sh", "exec sleep 1000"), "not ready within 10s", false, true},
		{"is no heirloom program and closes what it was given", placeScript("#!/bin/sh", "for fd in 3 4 5 6 7; do eval \"exec $fd>&-\"; done", "exec sleep 1000"), "closed the handover socket", false, false},
		{"is no program at all", func(t *testing.T, h host) { h.install(script(t, "\x7fELF")) }, "exec format error", true, false},
		{"is not executable", func(_ *testing.T, h host) { h.executable(false) }, "permission denied", true, false},
		{"is missing", func(_ *testing.T, h host) { h.remove() }, "no such file or directory", true, false},
	}
}

// TestFailure replaces the program by one that does not become ready: the
// operator is told why, and no client notices.
func TestFailure(t *testing.T) {
	at(t, places(), func(t *testing.T, p place, h host) {
		run := loadtest.Start(h.target(), loadtest.OfEach(1))
		before := h.status()
		for _, f := range failures() {
			if p.inPlace && !f.early {
				continue // the old program has gone by then
			}
			if f.rare && sdtest.Rounds(p.systemd, 3) < 3 {
				continue
			}
			f.spoil(t, h)
			err := h.reload()
			if p.truth && err == nil {
				t.Errorf("%s: the reload succeeded", f.name)
			}
			h.wait("the service to be as before", func() bool { return len(h.processes()) == 1 })
			s := h.status()
			if s.PID != before.PID || s.LastReload == nil || s.LastReload.Result != "failed" || !strings.Contains(s.LastReload.Reason, f.reason) {
				t.Errorf("%s: status %+v, last reload %+v, want process %d and a reason with %q", f.name, s, s.LastReload, before.PID, f.reason)
			}
			text := ""
			if !patience.Until(30*time.Second, func() bool { // systemd may hear it later than who asked for the reload
				text = h.display()
				return strings.Contains(text, f.reason)
			}) {
				t.Errorf("%s: the operator is shown no %q:\n%s", f.name, f.reason, text)
			}
		}
		h.install(p.version("v2"))
		if err := h.reload(); err != nil {
			t.Errorf("a good program after the bad ones: %v", err)
		}
		verify(t, run)
		if s := settled(t, h); s.Version != "v2" || s.Generation != before.Generation+1 {
			t.Errorf("version %s, generation %d serve, want v2, %d", s.Version, s.Generation, before.Generation+1)
		}
	})
}

// TestUpgrade replaces the program: in place by rename, and behind a symlink
// that moves.
func TestUpgrade(t *testing.T) {
	at(t, places(), func(t *testing.T, p place, h host) {
		run := loadtest.Start(h.target(), crowd())
		first := h.status()
		steps := []struct {
			name    string
			change  func(string)
			version string
		}{
			{"rename", h.install, "v2"},
			{"rename", h.install, "v1"},
			{"symlink", h.link, "v2"},
			{"symlink", h.link, "v1"},
		}
		for _, step := range steps {
			step.change(p.version(step.version))
			if err := h.reload(); err != nil {
				t.Fatalf("%s to %s: %v", step.name, step.version, err)
			}
			s := h.status()
			if s.Version != step.version {
				t.Errorf("%s: version %s serves after the reload, want %s", step.name, s.Version, step.version)
			}
			if (s.PID == first.PID) != p.inPlace {
				t.Errorf("%s: process %d serves after the reload, it was %d before", step.name, s.PID, first.PID)
			}
		}
		verify(t, run)
	})
}
