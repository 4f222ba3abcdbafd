package e2e_test

import (
	"path"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

// TestStop stops for good: nothing is left of the service, neither connections
// nor files.
func TestStop(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		for range 2 {
			idle := call(t, h.target(), 100)
			silent := connect(t, h.target(), 10)
			mustRestart(t, h)
			idle.expect(2)
			h.stop()
			idle.closed() // by systemd, which stored them, and a moment after it says that the unit has stopped
			silent.closed()
			checkNothingLeft(t, h)
			h.start()
			if s := h.status(); s.Generation != 1 {
				t.Errorf("status %+v after stop and start, want generation 1", s)
			}
		}
	})
}

// checkNothingLeft looks for what a stopped service must not leave. systemd
// throws the store away, and the temporary folders, a moment after it says that
// the unit has stopped.
func checkNothingLeft(t *testing.T, h *managed) {
	t.Helper()
	h.wait("no descriptor to be stored after the stop", func() bool { return h.stored() == 0 })
	if left := h.processes(); len(left) > 0 {
		t.Errorf("processes left after the stop: %v", left)
	}
	left := ""
	if !patience.Until(30*time.Second, func() bool {
		// It fails where a folder goes while it looks.
		left, _ = h.machine.Run("find", "/run", "/tmp", "/var/lib", "/var/tmp", "-xdev", "(", "-name", "*hello*", "-o", "-name", "*heirloom*", ")",
			"-not", "-path", "/run/systemd/*", "-not", "-path", "/run/log/*", "-not", "-name", "heirloom-sdtest-*")
		return left == ""
	}) {
		t.Errorf("paths left after the stop:\n%s", left)
	}
	for property, want := range map[string]string{"ActiveState": "inactive", "Result": "success"} {
		if got := h.machine.Property("hello.service", property); got != want {
			t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
}

// TestPreserve stops and starts a service whose unit preserves its store: the
// clients only see that it takes longer.
func TestPreserve(t *testing.T) {
	t.Parallel()
	for _, v := range []sdtest.Version{sdtest.V257, sdtest.V262} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			preserve := setting("Service", "FileDescriptorStorePreserve", "yes")
			h := startManaged(t, v, withoutSocket, often, preserve)
			// Before 262 systemd forgets a stopped unit that nothing refers to,
			// and what it stored (systemd.service(5)).
			h.machine.MustRun("systemctl", "enable", "hello.service")
			mustRestart(t, h)
			before := measure(t, h)
			idle, asking := call(t, h.target(), 100), call(t, h.target(), 100)
			for generation := 3; generation <= 5; generation++ {
				h.stop()
				if left := h.processes(); len(left) > 0 {
					t.Errorf("processes left after the stop: %v", left)
				}
				asking.send()
				newcomers := connect(t, h.target(), 20)
				newcomers.send()
				h.start()
				for _, c := range []*callers{asking, newcomers} {
					if low, high := c.receive(); low != generation || high != generation {
						t.Errorf("generations %d to %d have answered, want %d", low, high, generation)
					}
				}
				idle.expect(generation)
				newcomers.hangUp()
			}
			idle.hangUp()
			asking.hangUp()
			mustRestart(t, h)
			checkMeasure(t, h, before)
		})
	}
}

// A socketPath is where the daemon of these tests binds a Unix socket by
// itself.
const socketPath = "/var/lib/hello/hello.sock"

// TestUnixPath has the service bind a Unix socket itself, whose path must be
// there whenever the socket is, and no longer.
func TestUnixPath(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := newManaged(t, v, withoutSocket, often, ownPath)
			h.install(program("daemon-v1"))
			h.start()
			target := loadtest.Target{Network: "unix", Address: socketPath, Dial: h.machine.Dial}
			idle := call(t, target, 50)
			for i, replace := range []func(){
				func() { mustRestart(t, h) },
				func() { mustReload(t, h) },
				func() { failToRestart(t, h) },
				func() { mustRestart(t, h) },
			} {
				replace()
				settled(t, h)
				idle.expect(i + 2)
				call(t, target, 5).hangUp()
			}
			generation := h.status().Generation
			h.kill(h.status().PID, syscall.SIGKILL)
			idle.closed()
			idle = call(t, target, 50)
			idle.expect(generation + 1)

			h.machine.MustRun("rm", socketPath) // then it must be bound anew
			mustRestart(t, h)
			idle.expect(generation + 2)
			call(t, target, 5).expect(generation + 2)
			h.wait("the sockets and the ledger to be stored", func() bool { return h.stored() == 5 })

			h.stop()
			idle.closed()
			left := func() string { return h.machine.MustRun("ls", "-A", path.Dir(socketPath)) }
			// The path stays where systemd does not say within half a second
			// whether the service ends, as on a busy machine.
			for tries := 0; left() != "" && tries < 10; tries++ {
				h.start()
				h.stop()
			}
			if text := left(); text != "" {
				t.Errorf("left where the socket was: %s", text)
			}
		})
	}
}

// failToRestart restarts into a program that cannot start, and comes back to
// the one that can when systemd has tried again.
func failToRestart(t *testing.T, h *managed) {
	t.Helper()
	h.install(script(t, "#!/bin/sh", "exit 1"))
	if err := h.restart(); err == nil {
		t.Error("the restart succeeded")
	}
	h.wait("systemd to try again", func() bool { return restarts(t, h) >= 2 })
	h.install(program("daemon-v1"))
	h.wait("hello to run", func() bool { return h.machine.Property("hello.service", "SubState") == "running" })
}

// ownPath has the service bind a path in a folder that it keeps.
func ownPath(s *units.Service) {
	s.Args, s.StateDirectory = []string{"-unix", socketPath}, []string{"hello"}
	s.Network = units.NoNetwork
}
