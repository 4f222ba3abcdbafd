package lifecycle_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestHealthUnderSystemd has processes fail their health check, each in its own
// way, on each systemd. All at once, since they mostly wait.
func TestHealthUnderSystemd(t *testing.T) {
	t.Parallel()
	var tests sync.WaitGroup
	defer tests.Wait()
	for _, v := range sdtest.Turn(t.Name()) {
		tests.Go(func() {
			t.Run("sick-"+v.String(), func(t *testing.T) {
				testSick(t, startWatched(t, v, "WatchdogSec="+span(4*time.Second), "Environment=HEIRLOOM_TEST_LAST="+span(5*time.Second)))
			})
		})
		tests.Go(func() {
			t.Run("dead-"+v.String(), func(t *testing.T) {
				lines := []string{"WatchdogSec=1h"}
				if v == sdtest.V257 {
					lines = nil // ErrDead is for units without a watchdog too
				}
				testDead(t, startWatched(t, v, lines...))
			})
		})
	}
	tests.Go(func() { t.Run("slow start in place", testSlowStart) })
}

func startWatched(t *testing.T, v sdtest.Version, lines ...string) *managedDaemon {
	t.Helper()
	return startManagedRole(t, v, "watched", "tcp!127.0.0.1:8080", "", lines...)
}

// testSick has a check fail for as long as the watchdog waits, which restarts
// the service; a successor fail, which fails the reload; the stacks shown; and
// a program that lives on for longer than that after Run, which the watchdog
// must not mind.
func testSick(t *testing.T, d *managedDaemon) {
	t.Helper()
	d.say("health", "sick")
	d.awaitService("1", 2) // the folder with the sickness has gone
	journal := d.awaitJournal("Failed with result 'watchdog'")
	for _, want := range []string{"the health check fails", "error=sick", "Watchdog timeout (limit "} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal has no %q", want)
		}
	}

	d.reload()
	clients := d.connect(1)
	d.say("health-4", "sick")
	out, err := d.machine.Run("systemctl", "reload", "daemon.service")
	if err == nil {
		t.Errorf("a reload into a program that is not well succeeded: %s", out)
	}
	d.awaitJournal("health check: sick")
	d.mustExchange(clients, 3)

	d.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "USR1", "daemon.service")
	d.awaitJournal("lifecycle.(*mainLoop).run(")

	d.machine.MustRun("systemctl", "stop", "daemon.service")
	if result := d.machine.Property("daemon.service", "Result"); result != "success" {
		t.Errorf("Result=%s of the stop", result)
	}
}

// testDead has a check say that the process is dead, where no watchdog would
// mind for an hour.
func testDead(t *testing.T, d *managedDaemon) {
	t.Helper()
	d.reload() // it is the successor's watchdog that is asked to bite
	d.say("health", "dead")
	c := d.connect(1)[0]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://test/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Write(c); err != nil {
		t.Fatal(err)
	}
	if response, err := http.ReadResponse(c.reader, request); err == nil && response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("liveness is %s", response.Status)
	}
	d.awaitService("1", 3)
	journal := d.awaitJournal("Failed with result 'watchdog'")
	for _, want := range []string{"asking to be killed", "the disk is on fire", "Watchdog request"} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal has no %q", want)
		}
	}
}

// say writes what a file in the RuntimeDirectory has to say.
func (d *managedDaemon) say(file, text string) {
	d.machine.WriteFile("/run/daemon/"+file, text, 0o644)
}

// testSlowStart has a new program, in place of the old one, take longer to
// start than the watchdog would wait.
func testSlowStart(t *testing.T) {
	d := startWatched(t, sdtest.V262, "WatchdogSec="+span(4*time.Second), "Environment=HEIRLOOM_TEST_REPLACE=in-place")
	pid := d.machine.Property("daemon.service", "MainPID")
	d.say("slow", span(6*time.Second))
	d.reload()
	d.awaitService("0", 2)
	if now := d.machine.Property("daemon.service", "MainPID"); now != pid {
		t.Errorf("the main process is %s, it was %s", now, pid)
	}
	if journal := d.machine.Journal("-b"); strings.Contains(journal, "Watchdog timeout") {
		t.Error("journal: Watchdog timeout")
	}
	d.say("health", "hangs") // the extension is over once the program is there
	d.awaitJournal("Watchdog timeout (limit ")
}
