package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
)

// watchdogTime is how often systemd wants a sign of life: whole seconds, one
// unless the machine is slow.
var watchdogTime = sync.OnceValue(func() time.Duration {
	return (patience.Of(time.Second) + time.Second - 1).Truncate(time.Second)
})

func watchdog(s *units.Service) { s.Watchdog = watchdogTime() }

// TestWatchdog reloads and restarts a service from which systemd wants a sign
// of life each second or so, under load: it gets one from whoever is the main
// process, and from nobody else.
func TestWatchdog(t *testing.T) {
	tests := []struct {
		name    string
		version sdtest.Version
		changes []change
		target  func(host) loadtest.Target
	}{
		{"alone-252", sdtest.V252, []change{withoutSocket}, host.target},
		{"notify-reload-257", sdtest.V257, []change{notifyReload}, host.target},
		{"alone-262", sdtest.V262, []change{withoutSocket}, host.target},
		{"in-place-262", sdtest.V262, []change{withoutSocket, privatePIDs}, brisk},
	}
	var running sync.WaitGroup // all at once, since they mostly wait
	defer running.Wait()
	for _, test := range tests {
		running.Go(func() {
			t.Run(test.name, func(t *testing.T) {
				h := newManaged(t, test.version, append(test.changes, watchdog, often)...)
				h.install(program("v1"))
				h.start()
				target := test.target(h)
				target.ThinkTime = 20 * time.Millisecond // the processor is for the processes that are to be in time
				run := loadtest.Start(target, loadtest.OfEach(1))
				reloadWatched(t, h, run)
				verify(t, run)
				checkWatched(t, h)
			})
		})
	}
}

// reloadWatched reloads 20 times and restarts four times.
func reloadWatched(t *testing.T, h *managed, run *loadtest.Run) {
	t.Helper()
	generation := 1
	for i := range 20 {
		mustReload(t, h)
		generation++
		if i%6 == 5 {
			mustRestart(t, h)
			generation++
		}
		waitGeneration(t, run, generation)
		time.Sleep(50 * time.Millisecond) // so that a sign falls due at every step, sooner or later
	}
	time.Sleep(watchdogTime() * 3 / 2) // and with nothing else to do, in a process of each origin
	mustRestart(t, h)
	time.Sleep(watchdogTime() * 3 / 2)
}

// checkWatched checks that systemd is content, and would not be if there were
// no signs of life.
func checkWatched(t *testing.T, h *managed) {
	t.Helper()
	for property, want := range map[string]string{
		"WatchdogUSec": fmt.Sprintf("%ds", watchdogTime()/time.Second), "ActiveState": "active", "Result": "success", "NRestarts": "0",
	} {
		if got := h.machine.Property("hello.service", property); got != want {
			t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
	checkJournal(t, h)
	watchdogBarks := func() bool { return strings.Contains(h.machine.Journal("-b"), "Watchdog timeout") }
	if watchdogBarks() {
		t.Error("journal: Watchdog timeout")
	}
	main, err := strconv.Atoi(h.machine.Property("hello.service", "MainPID"))
	if err != nil {
		t.Fatal(err)
	}
	h.kill(main, syscall.SIGSTOP)
	h.wait("the watchdog to notice that the process is stopped", watchdogBarks)
}
