package lifecycle_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestLocate commands services from a shell whose units have other names than
// the program: one, instances of a template, and none.
func TestLocate(t *testing.T) {
	t.Parallel()
	var tests sync.WaitGroup
	defer tests.Wait()
	for _, v := range sdtest.Turn(t.Name()) {
		tests.Go(func() { t.Run(v.String(), func(t *testing.T) { testLocate(t, sdtest.Boot(t, v)) }) })
	}
}

func testLocate(t *testing.T, m *sdtest.Machine) {
	m.Install(os.Args[0], "/usr/bin/daemon")
	unit := func(directory, address string) string {
		return strings.NewReplacer("Sockets=daemon.socket\n", "", "RuntimeDirectory=daemon", "RuntimeDirectory="+directory,
			"tcp!127.0.0.1:8080", address, "TimeoutStartSec=5s", "TimeoutStartSec=60s").Replace(daemonService)
	}
	m.WriteFile("/etc/systemd/system/web.service", unit("web/deep", "tcp!127.0.0.1:8081"), 0o644)
	m.WriteFile("/etc/systemd/system/inst@.service", unit("inst-%i", "tcp!127.0.0.1:%i"), 0o644)
	m.MustRun("systemctl", "daemon-reload")
	command := func(variables string, args ...string) (string, error) {
		words := append([]string{"HEIRLOOM_TEST_ROLE=daemon"}, strings.Fields(variables)...)
		return m.Run("env", append(append(words, "/usr/bin/daemon"), args...)...)
	}
	says := func(variables, word string, wants ...string) {
		t.Helper()
		out, err := command(variables, word)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s: %v, %q, want %q in it", variables, word, err, out, want)
			}
		}
	}

	says("", "status", "the service is not running", "/run/daemon/control", "RUNTIME_DIRECTORY=")

	m.MustRun("systemctl", "start", "web.service")
	says("", "status", "generation 1, ready")
	m.Install(os.Args[0], "/usr/bin/daemon") // the program that runs is deleted
	says("", "reload", "generation 2 ")
	says("", "status", "generation 2, ready")
	m.MustRun("systemctl", "stop", "web.service")

	m.MustRun("systemctl", "start", "inst@8091.service", "inst@8092.service")
	for _, word := range []string{"status", "reload"} {
		says("", word, "more than one such service runs", "RUNTIME_DIRECTORY=/run/inst-8091", "RUNTIME_DIRECTORY=/run/inst-8092")
	}
	says("RUNTIME_DIRECTORY=/run/inst-8092", "reload", "generation 2 ")
	m.MustRun("systemctl", "stop", "inst@8092.service")
	says("", "status", "generation 1, ready")
	m.MustRun("systemctl", "stop", "inst@8091.service")

	// Anybody can run the program, in a directory of their own, and answer as
	// they like.
	m.MustRun("sh", "-c", "mkdir -m 755 /tmp/evil && chown nobody /tmp/evil")
	evil := m.Start("setpriv", "--reuid=65534", "--clear-groups", "env", "HEIRLOOM_TEST_ROLE=daemon",
		"RUNTIME_DIRECTORY=/tmp/evil", "HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:8093", "/usr/bin/daemon")
	m.Wait("that to run", func() bool { return strings.Contains(evil.Output(), "ready: generation=1") })
	says("", "status", "the service is not running")
	_ = evil.Signal(os.Interrupt)
	if out, err := evil.Wait(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestWatchdogOfAnother: a watchdog that is not on for this process is said to
// be somebody else's.
func TestWatchdogOfAnother(t *testing.T) {
	s := newSupervisor(t)
	d := startLocal(t, "tcp", "NOTIFY_SOCKET="+s.path, "WATCHDOG_USEC=1000000", "WATCHDOG_PID=1")
	for _, want := range []string{"[INFO]", "no watchdog: WATCHDOG_PID is another process", "WATCHDOG_PID=1 ", "WATCHDOG_USEC=1000000"} {
		d.eventually("the log to have "+want, func() bool { return strings.Contains(d.logged(), want) })
	}
}
