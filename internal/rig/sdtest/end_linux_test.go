package sdtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// traces is what a machine could leave on the host.
type traces struct {
	cgroup, pidns, tmp string
}

// tracesOf notes where to look for what the machine leaves. TMPDIR must be tmp
// for whoever booted it.
func tracesOf(t *testing.T, pid int, cgroup, tmp string) traces {
	return traces{cgroup: cgroup, pidns: namespace(t, pid, "pid"), tmp: tmp}
}

// check reports all that is left but the control group.
func (tr traces) check(t *testing.T) {
	t.Helper()
	// An orphaned PID 1 is a zombie until the host's own PID 1 takes notice.
	var left []string
	if !patience.Until(30*time.Second, func() bool { left = processesIn(tr.pidns); return len(left) == 0 }) {
		t.Errorf("processes are left: %q", left)
	}
	if now := mounts(t); strings.Contains(now, "sdtest") {
		t.Errorf("mounts are left:\n%s", now)
	}
	if left, err := os.ReadDir(tr.tmp); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v (%v)", left, err)
	}
}

// processesIn finds the processes in a process namespace and what their stat
// says.
func processesIn(pidns string) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil && ns == pidns {
			stat, _ := os.ReadFile(strings.Replace(link, "ns/pid", "stat", 1))
			found = append(found, string(stat))
		}
	}
	return found
}

func mounts(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func namespace(t *testing.T, pid int, name string) string {
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestNothingIsLeft(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var m *sdtest.Machine
	var tr traces
	t.Run("machine", func(t *testing.T) {
		m = sdtest.Boot(t, sdtest.V252)
		tr = tracesOf(t, m.PID1(), m.Cgroup(), tmp)
		m.Start("sleep", "infinity")
		m.MustRun("systemd-run", "sleep", "infinity")
	})
	tr.check(t)
	if _, err := os.Stat(tr.cgroup); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control group is left: %v", err)
	}
	if _, err := m.Run("true"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Run after the end: %v, want os.ErrClosed", err)
	}
	if _, err := m.Dial(t.Context(), "tcp", "127.0.0.1:80"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Dial after the end: %v, want os.ErrClosed", err)
	}
}

// TestNothingIsLeftByKilledTest kills a process that has a machine.
func TestNothingIsLeftByKilledTest(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	tmp := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"="+bootRole, "TMPDIR="+tmp)
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var cgroup, network string
	_, scanErr := fmt.Fscan(bufio.NewReader(stdout), &pid, &cgroup, &network)
	if scanErr != nil {
		_, _ = child.Process.Kill(), child.Wait()
		t.Fatalf("the child did not boot: %v", scanErr)
	}
	pid1, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pid1) }()
	tr := tracesOf(t, pid, cgroup, tmp)
	if len(holders(network)) != 1 {
		t.Errorf("the network is held by %q, want one", holders(network))
	}

	_, _ = child.Process.Kill(), child.Wait()
	waitForEnd(t, pid1)
	tr.check(t)
	if left := holders(network); len(left) > 0 {
		t.Errorf("the network is left, held by %q", left)
	}
	sdtest.Boot(t, sdtest.V252)
	if _, err := os.Stat(cgroup); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next Boot left the control group: %v", err)
	}
}

// holders finds what keeps a namespace: processes in it, and descriptors.
func holders(namespace string) []string {
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/fd/*"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && target == namespace {
				found = append(found, link)
			}
		}
	}
	return found
}

// waitForEnd waits until a process has ended.
func waitForEnd(t *testing.T, pidfd int) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	limit := int(patience.Of(30 * time.Second).Milliseconds())
	n, err := unix.Poll(fds, limit)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, limit)
	}
	if n != 1 || err != nil {
		t.Fatalf("PID 1 outlives the test that booted it (%v)", err)
	}
}

// TestBootFails boots a folder that holds nothing.
func TestBootFails(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	_, err := sdtest.BootBare(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "mount") {
		t.Errorf("error is %v, want mount's own words", err)
	}
	_, err = sdtest.BootBare("/nosuch")
	if err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("error is %v, want cd's own words", err)
	}
}

// TestJournalOfFailedTest ends a failed test.
func TestJournalOfFailedTest(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	for _, failed := range []bool{false, true} {
		r := &recorder{TB: t, failed: failed}
		m := sdtest.Boot(r, sdtest.V252)
		m.MustRun("systemd-run", "--wait", "echo", "famous", "last", "words")
		for _, f := range slices.Backward(r.cleanup) {
			f()
		}
		if got := strings.Contains(r.log, "famous last words"); got != failed {
			t.Errorf("failed %v: log is %q", failed, r.log)
		}
	}
}

// TestDeadMachine has a machine switch itself off, as systemctl poweroff in a
// test might.
func TestDeadMachine(t *testing.T) {
	sdtest.Require(t, sdtest.V252)
	r := &recorder{TB: t, failed: true}
	m := sdtest.Boot(r, sdtest.V252)
	pid1, err := unix.PidfdOpen(m.PID1(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pid1) }()
	m.MustRun("systemctl", "poweroff", "--force", "--force")
	waitForEnd(t, pid1)
	for _, f := range slices.Backward(r.cleanup) {
		f()
	}
}
