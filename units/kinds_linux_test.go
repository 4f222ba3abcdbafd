package units_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

// TestKinds runs examples/hello under each systemd as instances of a template,
// and under the service manager of a user. There is one machine for both.
func TestKinds(t *testing.T) {
	program := buildHello(t)
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, v)
			m.Install(program, "/usr/bin/hello")
			t.Run("instances", func(t *testing.T) { t.Parallel(); testInstances(t, m.For(t), v) })
			t.Run("user", func(t *testing.T) { t.Parallel(); testUserService(t, m.For(t), v) })
		})
	}
}

func buildHello(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello")
	cmd := exec.Command("go", "build", "-o", path, "../examples/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for systems with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func installUnits(t *testing.T, m *sdtest.Machine, v sdtest.Version, s units.Service) {
	t.Helper()
	files, err := s.Render(int(v))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		m.WriteFile(file.Path, file.Text, file.Mode)
	}
}

// testInstances does everything to one instance, while the other goes on.
func testInstances(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	installUnits(t, m, v, units.Service{
		Name: "hello@", Program: "/usr/bin/hello", StopTimeout: 5 * time.Second,
		Sockets: []units.Socket{
			{Name: "http", Addresses: []string{"127.0.0.1:80%i"}},
			{Name: "admin", Addresses: []string{"/run/hello-admin-%i.sock"}},
		},
	})
	expectNothing(t, m.MustRun("systemd-analyze", "verify", "--man=no", "hello@81.service", "hello@81.socket", "hello-admin@81.socket"))
	m.MustRun("systemctl", "daemon-reload")
	for _, instance := range []string{"81", "82"} {
		m.MustRun("systemctl", "enable", "--now", "hello@"+instance+".service")
	}
	for _, question := range []string{"is-enabled", "is-active"} { // the sockets are by Also= and Sockets=
		out := m.MustRun("systemctl", question, "hello@81.service", "hello@81.socket", "hello-admin@81.socket")
		if answer := strings.TrimPrefix(question, "is-") + "\n"; out != strings.Repeat(answer, 3) {
			t.Errorf("systemctl %s: %s", question, out)
		}
	}
	one, two := load(t, m, "127.0.0.1:8081"), load(t, m, "127.0.0.1:8082")
	waitFor(t, one, 1)
	m.MustRun("systemctl", "reload", "hello@81.service")
	waitFor(t, one, 2)
	m.MustRun("systemctl", "restart", "hello@81.service")
	waitFor(t, one, 3)
	loadtest.Verify(t, one.Stop())
	if s := statusIn(t, m, "RUNTIME_DIRECTORY=/run/hello-81"); s.Generation != 3 {
		t.Errorf("the first instance is generation %d", s.Generation)
	}
	m.MustRun("systemctl", "disable", "--now", "hello@81.service")
	m.MustRun("systemctl", "stop", "hello@81.socket", "hello-admin@81.socket")
	checkGone(t, m, "/run/hello-81", "/etc/systemd/system/sockets.target.wants/hello-admin@81.socket")

	if s := statusIn(t, m, "RUNTIME_DIRECTORY=/run/hello-82"); s.Generation != 1 || s.State != lifecycle.Ready {
		t.Errorf("the second instance is generation %d, %s", s.Generation, s.State)
	}
	m.MustRun("systemctl", "reload", "hello@82.service") // its control socket is there, too
	waitFor(t, two, 2)
	loadtest.Verify(t, two.Stop())
	m.MustRun("systemctl", "disable", "--now", "hello@82.service")
}

func expectNothing(t *testing.T, out string) {
	t.Helper()
	if out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
}

func checkGone(t *testing.T, m *sdtest.Machine, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(m.Root() + path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// load asks until the test ends or stops it.
func load(t *testing.T, m *sdtest.Machine, address string) *loadtest.Run {
	run := loadtest.Start(loadtest.Target{Address: address, Dial: m.Dial,
		IdleFor: 100 * time.Millisecond, SlowFor: 50 * time.Millisecond, PauseFor: 5 * time.Millisecond}, loadtest.OfEach(1))
	t.Cleanup(func() { run.Stop() })
	return run
}

func waitFor(t *testing.T, run *loadtest.Run, generation int) {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), 30*time.Second)
	defer cancel()
	if err := run.WaitGeneration(ctx, generation); err != nil {
		t.Fatal(err)
	}
}

// statusIn asks for a status as an operator does, with one variable to find the
// control socket.
func statusIn(t *testing.T, m *sdtest.Machine, variable string) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("env", variable, "hello", "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

const userID = 1234

// testUserService does to a service of a user what is done to any other. Its
// user is not logged in, but lingers.
func testUserService(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	installUnits(t, m, v, units.Service{
		Name: "hello", Scope: units.User, Program: "/usr/bin/hello", StopTimeout: 7 * time.Second,
		StateDirectory: []string{"hello"},
		Sockets: []units.Socket{
			{Name: "http", Addresses: []string{"127.0.0.1:8080"}},
			{Name: "admin", Addresses: []string{"%t/hello-admin.sock"}},
		},
	})
	startUserManager(m)
	asUser := func(command ...string) string {
		id, home := strconv.Itoa(userID), "HOME=/home/one"
		return m.MustRun("setpriv", append([]string{"--reuid=" + id, "--regid=" + id, "--clear-groups", "env", home, runtimeOf(userID)}, command...)...)
	}
	expectNothing(t, asUser("systemd-analyze", "verify", "--user", "--man=no", "hello.service", "hello.socket", "hello-admin.socket"))
	asUser("systemctl", "--user", "enable", "--now", "hello.service")
	asUser("systemctl", "--user", "is-active", "hello.socket", "hello-admin.socket")

	run := load(t, m, "127.0.0.1:8080")
	waitFor(t, run, 1)
	asUser("systemctl", "--user", "reload", "hello.service")
	waitFor(t, run, 2)
	asUser("systemctl", "--user", "restart", "hello.service")
	waitFor(t, run, 3)
	loadtest.Verify(t, run.Stop())

	crashed := statusIn(t, m, runtimeOf(userID))
	m.Kill(crashed.PID, syscall.SIGKILL)
	run = load(t, m, "127.0.0.1:8080")
	waitFor(t, run, crashed.Generation+1)
	loadtest.Verify(t, run.Stop())

	if out := asUser("hello", "status"); !strings.Contains(out, "ready") {
		t.Errorf("status: %s", out)
	}
	// A drain that has nothing to wait for may end before it knows its time.
	slow, err := m.Dial(t.Context(), "tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := io.WriteString(slow, "GET /sleep?d=5s HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	m.Wait("the slow request to be under way", func() bool { return statusIn(t, m, runtimeOf(userID)).Requests > 0 })
	asUser("systemctl", "--user", "stop", "hello.service")
	if out := asUser("systemctl", "--user", "show", "hello.service", "--value", "--property=Result"); strings.TrimSpace(out) != "success" {
		t.Errorf("result of the stop is %s", out)
	}
	log := ""
	m.Wait("the daemon to have learnt its stop timeout", func() bool { // the journal may be late
		log = m.Journal("-o", "cat")
		return strings.Contains(log, "timeout=7s from=")
	})
	if strings.Contains(log, "timeout=1m30s from=") {
		t.Error("the daemon took another stop timeout than its own")
	}
}

func runtimeOf(id int) string { return fmt.Sprint("XDG_RUNTIME_DIR=/run/user/", id) }

// startUserManager makes a user, and starts their service manager as
// systemd-logind does for those who linger.
func startUserManager(m *sdtest.Machine) {
	// Where pam_systemd is not installed nobody says so.
	m.WriteFile("/etc/systemd/system/user@.service.d/runtime.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n", 0o644)
	m.WriteFile("/usr/lib/sysusers.d/one.conf", fmt.Sprintf("u one %d - /home/one\n", userID), 0o644)
	m.MustRun("systemd-sysusers", "one.conf")
	m.MustRun("install", "-d", "-o", "one", "-g", "one", "/home/one")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "start", fmt.Sprintf("user@%d.service", userID))
}
