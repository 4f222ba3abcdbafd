package e2e_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

// TestBrokenRestart restarts into programs that cannot start, which systemd
// tries again and again. The connections wait for a program that can, with what
// was asked over them meanwhile.
func TestBrokenRestart(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		idle, waiting := call(t, h.target(), 50), call(t, h.target(), 50)
		generation := 1
		for _, f := range broken() {
			f.spoil(t, h)
			if err := h.restart(); err == nil {
				t.Errorf("%s: the restart succeeded", f.name)
			}
			waiting.send()
			h.wait("systemd to try again", func() bool { return restarts(t, h) >= f.tries })
			h.install(program("v1"))
			h.wait("a good program to run", func() bool { return h.machine.Property("hello.service", "SubState") == "running" })
			s := settled(t, h)
			if s.Generation <= generation {
				t.Errorf("%s: generation %d serves, before it was %d", f.name, s.Generation, generation)
			}
			// A busy machine may be too slow for TimeoutStartSec=, so that the
			// first good one is replaced at once.
			if low, high := waiting.receive(); low <= generation || high > s.Generation {
				t.Errorf("%s: generations %d to %d have answered what was asked meanwhile, want later ones than %d up to %d",
					f.name, low, high, generation, s.Generation)
			}
			generation = s.Generation
			idle.expect(generation)
		}
		mustRestart(t, h)
		idle.expect(generation + 1)
		waiting.expect(generation + 1)
	}, within)
}

// within bounds how long a program that hangs may take to start and to stop.
// The good ones have to keep to that as well.
func within(s *units.Service) {
	for _, name := range []string{"TimeoutStartSec", "TimeoutStopSec"} {
		setting("Service", name, span(3*time.Second))(s)
	}
}

// A brokenProgram is one that cannot be restarted into.
type brokenProgram struct {
	name  string
	spoil func(*testing.T, *managed)
	tries int // how often systemd is to start it again
}

func broken() []brokenProgram {
	place := func(name string) func(*testing.T, *managed) {
		return func(_ *testing.T, h *managed) { h.install(program(name)) }
	}
	return []brokenProgram{
		{"exits", func(t *testing.T, h *managed) { h.install(script(t, "#!/bin/sh", "exit 1")) }, 3},
		{"crashes just before it is ready", place("crash"), 3},
		{"refuses its configuration", place("refuse"), 3},
		{"hangs", place("hang"), 1},
		{"is not executable", func(_ *testing.T, h *managed) { h.executable(false) }, 3},
		{"is missing", func(_ *testing.T, h *managed) { h.remove() }, 3},
	}
}

// restarts is how often systemd has started the service by itself since
// somebody last asked for it.
func restarts(t *testing.T, h *managed) int {
	t.Helper()
	n, err := strconv.Atoi(h.machine.Property("hello.service", "NRestarts"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNewcomers has clients connect while no program can start: without a
// socket unit too they wait and are served.
func TestNewcomers(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := startManaged(t, v, withoutSocket, often)
			h.install(script(t, "#!/bin/sh", "exit 1"))
			if err := h.restart(); err == nil {
				t.Error("the restart succeeded")
			}
			newcomers := connect(t, h.target(), 50)
			newcomers.send()
			h.wait("systemd to try again", func() bool { return restarts(t, h) >= 3 })
			h.install(program("v1"))
			if low, high := newcomers.receive(); low != high || low < 2 {
				t.Errorf("generations %d to %d have answered, want a single one after the first", low, high)
			}
		})
	}
}
