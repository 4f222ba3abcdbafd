package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestStartedByUserManager: a user's manager follows another main process, too.
func TestStartedByUserManager(t *testing.T) {
	t.Parallel()
	var tests sync.WaitGroup
	defer tests.Wait()
	for _, v := range sdtest.Turn(t.Name()) {
		tests.Go(func() { t.Run(v.String(), func(t *testing.T) { testUserManager(t, sdtest.Boot(t, v)) }) })
	}
}

func testUserManager(t *testing.T, m *sdtest.Machine) {
	const run = "XDG_RUNTIME_DIR=/run/user/0"
	m.Install(os.Args[0], "/usr/bin/daemon")
	// pam_systemd.so would set it, where it is installed.
	m.WriteFile("/etc/systemd/system/user@0.service.d/10.conf", "[Service]\nEnvironment="+run+"\n", 0o644)
	for name, lines := range map[string]string{
		"plain": "",
		"old":   "ExecStart=\nExecStart=/usr/bin/env -u SYSTEMD_EXEC_PID /usr/bin/daemon\n", // as before systemd 248
	} {
		unit := strings.NewReplacer("Sockets=daemon.socket\n", "Environment=HEIRLOOM_TEST_REPLACE=automatic\n",
			"RuntimeDirectory=daemon", "RuntimeDirectory="+name, "tcp!127.0.0.1:8080", fmt.Sprintf("tcp!127.0.0.1:%d", 9100+len(name)),
			"TimeoutStartSec=5s", "TimeoutStartSec=60s", "HEIRLOOM_TEST_RELOAD=3s", "HEIRLOOM_TEST_RELOAD=30s").Replace(daemonService)
		m.WriteFile("/etc/systemd/user/"+name+".service", unit+lines, 0o644)
	}
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", "user@0.service")
	for _, name := range []string{"plain", "old"} {
		t.Run(name, func(t *testing.T) {
			m := m.For(t)
			systemctl := func(args ...string) string {
				return strings.TrimSpace(m.MustRun("env", append([]string{run, "systemctl", "--user"}, args...)...))
			}
			systemctl("start", name+".service")
			before := systemctl("show", "-P", "MainPID", name+".service")
			systemctl("reload", name+".service")
			var s lifecycle.Status
			// From a shell, too: the unit has another name than the program.
			out := m.MustRun("env", run, "HEIRLOOM_TEST_ROLE=daemon", "/usr/bin/daemon", "status", "-json")
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				t.Fatal(err)
			}
			now := systemctl("show", "-P", "MainPID", name+".service")
			if s.Generation != 2 || now == before || now != fmt.Sprint(s.PID) {
				t.Errorf("after the reload generation %d is process %d and the main process %s, it was %s before", s.Generation, s.PID, now, before)
			}
			systemctl("stop", name+".service")
		})
	}
}

// TestPrivatePIDsWatchdog: the watchdog of a service that is PID 1 of a
// namespace gets its signs of life, for whomever systemd says that it is. It is
// TestWatchdog of test/e2e for 262.
func TestPrivatePIDsWatchdog(t *testing.T) {
	t.Parallel()
	d := startWatched(t, sdtest.V257, "PrivatePIDs=yes", "WatchdogSec="+span(8*time.Second), "Environment=HEIRLOOM_TEST_REPLACE=automatic")
	first := d.machine.Property("daemon.service", "WatchdogTimestampMonotonic")
	// The manager takes note of each sign.
	d.machine.Wait("a sign of life", func() bool {
		return d.machine.Property("daemon.service", "WatchdogTimestampMonotonic") != first
	})
	d.reload()
	next := d.machine.Property("daemon.service", "WatchdogTimestampMonotonic")
	d.machine.Wait("a sign of life from the next program", func() bool {
		return d.machine.Property("daemon.service", "WatchdogTimestampMonotonic") != next
	})
	d.awaitService("0", 2)
}
