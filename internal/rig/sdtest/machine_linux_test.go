package sdtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// everyVersion boots each version for a test of its own, one beside the other.
func everyVersion(t *testing.T, test func(t *testing.T, m *sdtest.Machine)) {
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			test(t, sdtest.Boot(t, v))
		})
	}
}

func TestVersion(t *testing.T) {
	for _, v := range sdtest.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			m := sdtest.Boot(t, v)
			out := m.MustRun("systemctl", "--version")
			var major int
			if _, err := fmt.Sscanf(out, "systemd %d", &major); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if major != int(v) && (v != sdtest.V262 || major < int(v)) {
				t.Errorf("booted systemd %d, want %v", major, v)
			}
			if out := m.MustRun("systemctl", "is-system-running"); out != "running\n" {
				t.Errorf("system is %s%s", out, m.MustRun("systemctl", "--failed"))
			}
		})
	}
}

const sleeper = `[Service]
Type=exec
ExecStart=/bin/sh -c 'echo I am awake; sleep infinity & wait'
`

func TestUnit(t *testing.T) {
	everyVersion(t, func(t *testing.T, m *sdtest.Machine) {
		m.WriteFile("/etc/systemd/system/sleeper.service", sleeper, 0o644)
		m.MustRun("systemctl", "daemon-reload")
		if list := m.Processes("sleeper.service"); len(list) != 0 {
			t.Errorf("processes before the start: %v", list)
		}
		m.MustRun("systemctl", "start", "sleeper.service")
		m.WaitActive("sleeper.service")
		m.Wait("two processes", func() bool { return len(m.Processes("sleeper.service")) == 2 })
		checkProcesses(t, m)

		if journal := m.Journal("-u", "sleeper.service", "-o", "cat"); !strings.Contains(journal, "I am awake\n") {
			t.Errorf("journal is %q", journal)
		}
		m.MustRun("systemctl", "stop", "sleeper.service")
		m.WaitInactive("sleeper.service")
		if list := m.Processes("sleeper.service"); len(list) != 0 {
			t.Errorf("processes after the stop: %v", list)
		}
		if state := m.Property("nosuch.service", "LoadState"); state != "not-found" {
			t.Errorf("LoadState of a unit that is not there is %q", state)
		}
	})
}

// checkProcesses looks at the shell and the sleep of the running sleeper, and
// ends the unit by killing the shell.
func checkProcesses(t *testing.T, m *sdtest.Machine) {
	list := m.Processes("sleeper.service")
	shell, sleep := list[0], list[1]
	if shell.PPID != 1 || sleep.PPID != shell.PID {
		t.Errorf("parents of shell and sleep in %v", list)
	}
	if main := m.Property("sleeper.service", "MainPID"); main != fmt.Sprint(shell.PID) {
		t.Errorf("MainPID is %s, shell is %v", main, shell)
	}
	if shell.HostPID == shell.PID || syscall.Kill(shell.HostPID, 0) != nil {
		t.Errorf("no process %d on the host", shell.HostPID)
	}
	if cmdline := strings.Join(shell.Cmdline, " "); !strings.HasPrefix(cmdline, "/bin/sh -c echo I") {
		t.Errorf("command line is %q", cmdline)
	}
	if n := m.Descriptors(shell.PID); n < 3 || n > 10 {
		t.Errorf("shell has %d descriptors", n)
	}
	if n := m.Threads(shell.PID); n != 1 {
		t.Errorf("shell has %d threads", n)
	}
	m.Kill(shell.PID, syscall.SIGKILL)
	m.WaitInactive("sleeper.service")
	if result := m.Property("sleeper.service", "Result"); result != "signal" {
		t.Errorf("result after SIGKILL is %q", result)
	}
}

// TestSandbox starts a socket-activated service with a dynamic user and every
// lock systemd has on its doors.
func TestSandbox(t *testing.T) {
	daemon := filepath.Join(t.TempDir(), "greeter")
	build := exec.Command("go", "build", "-o", daemon, "./testdata/daemon")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the daemon: %v\n%s", err, out)
	}
	everyVersion(t, func(t *testing.T, m *sdtest.Machine) {
		m.Install(daemon, "/usr/bin/greeter")
		for _, unit := range []string{"greeter.service", "greeter.socket"} {
			text, err := os.ReadFile(filepath.Join("testdata", unit))
			if err != nil {
				t.Fatal(err)
			}
			m.WriteFile("/etc/systemd/system/"+unit, string(text), 0o644)
		}
		m.MustRun("systemctl", "enable", "--now", "greeter.socket")
		if state := m.Property("greeter.service", "ActiveState"); state != "inactive" {
			t.Errorf("service is %s before the first connection", state)
		}
		want := greet(t, m)
		m.WaitActive("greeter.service")
		if main := m.Property("greeter.service", "MainPID"); want != "hello from "+main+"\n" {
			t.Errorf("MainPID is %s, greeting is %q", main, want)
		}
		checkSandbox(t, m)
		greetMany(t, m, want, 200)
		m.MustRun("systemctl", "reload", "greeter.service")
		m.MustRun("systemctl", "stop", "greeter.socket", "greeter.service")
		if journal := m.Journal("-u", "greeter.service"); !strings.Contains(journal, "goodbye\n") {
			t.Errorf("journal is %q", journal)
		}
	})
}

// checkSandbox makes sure that the settings were not just ignored.
func checkSandbox(t *testing.T, m *sdtest.Machine) {
	p := m.Processes("greeter.service")[0]
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.HostPID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapBnd:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	if strings.Contains(string(status), "Uid:\t0\t") {
		t.Error("the dynamic user is root")
	}
	for _, ns := range []string{"net", "mnt", "user", "ipc"} {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.HostPID, ns))
		if machines := namespace(t, m.PID1(), ns); err != nil || own == machines {
			t.Errorf("%s namespace %s (%v), machine has %s", ns, own, err, machines)
		}
	}
}

// greet returns what the greeter says to one connection.
func greet(t *testing.T, m *sdtest.Machine) string {
	conn, err := m.Dial(t.Context(), "tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	greeting, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(greeting)
}

// greetMany dials at once from n goroutines.
func greetMany(t *testing.T, m *sdtest.Machine, want string, n int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range n {
		wg.Go(func() {
			conn, err := m.Dial(t.Context(), "tcp", "127.0.0.1:8080")
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if got, err := io.ReadAll(conn); string(got) != want || err != nil {
				t.Errorf("greeting is %q (%v), want %q", got, err, want)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	m := sdtest.Boot(t, sdtest.V252)
	t.Setenv("SECRET", "of the host")
	out, err := m.Run("sh", "-c", "echo out; echo err >&2; pwd; env; exit 7")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("error is %v, want exit code 7", err)
	}
	if !strings.HasPrefix(out, "out\nerr\n/\n") || strings.Contains(out, "SECRET") {
		t.Errorf("output is %q", out)
	}
	if _, err := m.Run("nosuch"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error is %v, want exec.ErrNotFound", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.RunContext(ctx, "sleep", "infinity"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}

	c := m.Start("sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; sleep infinity >/dev/null 2>&1 & wait")
	m.Wait("the command to be ready", func() bool { return c.Output() == "ready\n" })
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	out, err = c.Wait()
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || out != "ready\nbye\n" {
		t.Errorf("output is %q, error %v", out, err)
	}
	<-c.Done()
	if err := c.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v, want os.ErrProcessDone", err)
	}
	m.Start("sleep", "infinity") // does not hold up the end
}

func TestFiles(t *testing.T) {
	m := sdtest.Boot(t, sdtest.V252)
	m.WriteFile("/srv/new/folder/file", "one", 0o640)
	before := m.MustRun("stat", "-c", "%i", "/srv/new/folder/file")
	m.WriteFile("/srv/new/folder/file", "two", 0o666)
	if got := m.MustRun("stat", "-c", "%a %U %s", "/srv/new/folder/file"); got != "666 root 3\n" {
		t.Errorf("mode, owner and size are %q", got)
	}
	if after := m.MustRun("stat", "-c", "%i", "/srv/new/folder/file"); after == before {
		t.Error("the file was overwritten, not replaced")
	}
	if got := m.MustRun("ls", "-A", "/srv/new/folder"); got != "file\n" {
		t.Errorf("folder holds %q", got)
	}
	if got, err := os.ReadFile(m.Root() + "/srv/new/folder/file"); string(got) != "two" || err != nil {
		t.Errorf("from the host the file holds %q (%v)", got, err)
	}
	// On Debian /var/run is an absolute link to /run, which must mean the
	// machine's.
	m.WriteFile("/var/run/sdtest-link", "inside", 0o600)
	if got := m.MustRun("cat", "/run/sdtest-link"); got != "inside" {
		t.Errorf("file in /run holds %q", got)
	}
	for _, path := range []string{"/run/sdtest-link", "/srv/new"} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is on the host: %v", path, err)
		}
	}
}

// TestApart runs two machines that listen on the same addresses.
func TestApart(t *testing.T) {
	for i, m := range []*sdtest.Machine{sdtest.Boot(t, sdtest.V252), sdtest.Boot(t, sdtest.V252)} {
		for network, address := range map[string]string{
			"tcp": "127.0.0.1:80", "tcp6": "[::1]:80", "unix": "/run/apart.sock", "unixpacket": "@apart",
		} {
			var listener net.Listener
			err := m.Inside(func() (err error) { listener, err = net.Listen(network, address); return err })
			if err != nil {
				t.Fatalf("machine %d: %v", i, err)
			}
			// Closing it on the host must not unlink a path of the machine's.
			if l, ok := listener.(*net.UnixListener); ok {
				l.SetUnlinkOnClose(false)
			}
			t.Cleanup(func() { _ = listener.Close() })
			conn, err := m.Dial(t.Context(), network, address)
			if err != nil {
				t.Fatalf("machine %d: %v", i, err)
			}
			accepted, err := listener.Accept()
			if err != nil {
				t.Fatalf("machine %d: %v", i, err)
			}
			_, _ = conn.Close(), accepted.Close()
		}
		if _, err := m.Dial(t.Context(), "tcp", "127.0.0.1:81"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("machine %d: error is %v, want ECONNREFUSED", i, err)
		}
	}
}

// TestMainThreadStaysOutside has a child call Inside from its first thread.
func TestMainThreadStaysOutside(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"="+mainThreadRole)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHostIsSafe makes sure that what is not namespaced cannot be changed by
// accident. It only asks, so that the host is safe even when the test fails.
func TestHostIsSafe(t *testing.T) {
	everyVersion(t, func(t *testing.T, m *sdtest.Machine) {
		for _, path := range []string{"/proc/sys/kernel/panic", "/sys", "/sys/class/mem/null/uevent"} {
			if _, err := m.Run("test", "-w", path); err == nil {
				t.Errorf("%s is writable", path)
			}
		}
		const status = "/proc/self/status"
		checkCapabilities(t, "a command", m.MustRun("cat", status))
		checkCapabilities(t, "a service", m.MustRun("systemd-run", "--quiet", "--wait", "--pipe", "cat", status))
		m.MustRun("sh", "-c", "echo 9999 >/proc/sys/net/core/somaxconn")
		host, err := os.ReadFile("/proc/sys/net/core/somaxconn")
		if err != nil || string(host) == "9999\n" {
			t.Errorf("somaxconn of the host is %q (%v)", host, err)
		}
		if name, _ := os.Hostname(); m.MustRun("hostname") == name+"\n" {
			t.Errorf("the machine is called %s too", name)
		}
	})
}

// checkCapabilities makes sure that the process with this status can neither
// set the clock nor load modules.
func checkCapabilities(t *testing.T, who, status string) {
	_, rest, _ := strings.Cut(status, "CapEff:\t")
	var effective uint64
	if _, err := fmt.Sscanf(rest, "%x", &effective); err != nil {
		t.Fatalf("capabilities of %s: %v in %q", who, err, status)
	}
	if effective == 0 || effective&(1<<unix.CAP_SYS_TIME|1<<unix.CAP_SYS_MODULE) != 0 {
		t.Errorf("%s has capabilities %x", who, effective)
	}
}
