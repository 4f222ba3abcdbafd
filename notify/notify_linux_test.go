package notify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

func TestNewWithoutManager(t *testing.T) {
	leakcheck.Check(t)
	t.Setenv("NOTIFY_SOCKET", "") // remembers, then unset
	for _, prepare := range []func() error{
		func() error { return nil },
		func() error { return os.Unsetenv("NOTIFY_SOCKET") },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		n, err := notify.New()
		if n != nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "NOTIFY_SOCKET") {
			t.Errorf("got %v, %v", n, err)
		}
	}
}

func TestNewNamesTheVariable(t *testing.T) {
	leakcheck.Check(t)
	t.Setenv("NOTIFY_SOCKET", "run/notify")
	n, err := notify.New()
	if n != nil || !errors.Is(err, notify.ErrInvalid) || !strings.Contains(err.Error(), `NOTIFY_SOCKET: `) ||
		!strings.Contains(err.Error(), `"run/notify"`) {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestNilNotifier(t *testing.T) {
	var n *notify.Notifier
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{n.Notify(), n.Notify(notify.Ready(), notify.State{}), n.Barrier(ended), n.Close(), n.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestNoStatesNoMessage(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	if err := n.Notify(); err != nil {
		t.Error(err)
	}
	r.none()
}

// TestService runs a real service, whose messages bear its pid.
func TestService(t *testing.T) {
	leakcheck.Check(t)
	abstract := "@heirloom-notify-" + strconv.Itoa(os.Getpid())
	for _, address := range []string{socketPath(t), abstract} {
		r := receive(t, address)
		command := startRole(t, "service", address)
		got := r.next()
		if want := fmt.Sprintf("READY=1\nMAINPID=%d", command.Process.Pid); got.text != want || int(got.pid) != command.Process.Pid {
			t.Errorf("%s: received %q from %d, want %q", address, got.text, got.pid, want)
		}
		awaitRole(t, command)
	}
}

func TestSocketEndsAtExec(t *testing.T) {
	leakcheck.Check(t)
	path := socketPath(t)
	r := receive(t, path)
	command := startRole(t, "executor", path)
	if got := r.next(); got.text != "READY=1" {
		t.Errorf("received %q", got.text)
	}
	awaitRole(t, command)
}

func startRole(t *testing.T, role, address string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	// The race detector would let each process sleep a second before it ends.
	command.Env = []string{roleVariable + "=" + role, "NOTIFY_SOCKET=" + address, "GORACE=atexit_sleep_ms=0"}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return command
}

func awaitRole(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if err := command.Wait(); err != nil {
		t.Errorf("%v: %v", command.Env, err)
	}
}

func TestNobodyReceives(t *testing.T) {
	leakcheck.Check(t)
	r, n, path := pairAt(t, notify.SendTimeout)
	r.close()
	if err := n.Notify(notify.Ready()); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), path) {
		t.Errorf("socket closed: got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(notify.Ready()); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("path removed: got %v", err)
	}
}

// TestManagerBindsAnew is a manager that was started again: an unlinked path, a
// new socket.
func TestManagerBindsAnew(t *testing.T) {
	leakcheck.Check(t)
	r, n, path := pairAt(t, notify.SendTimeout)
	for i := range 3 {
		if err := n.Notify(notify.Status(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		if got := r.next().text; got != "STATUS="+strconv.Itoa(i) {
			t.Fatalf("received %q", got)
		}
		r.close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		r = receive(t, path)
	}
}

func TestClose(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := n.Notify(notify.Ready()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Notify: %v", err)
	}
	if err := n.Barrier(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Barrier: %v", err)
	}
	r.none()
}

func TestManyGoroutines(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	const senders, each = 8, 50
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for i := range each {
				if err := n.Notify(notify.MainPID(sender+1), notify.Status(strings.Repeat(strconv.Itoa(sender), i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := [senders]int{}
	for range senders * each {
		var pid int
		var text string
		if _, err := fmt.Sscanf(r.next().text+"|", "MAINPID=%d\nSTATUS=%s", &pid, &text); err != nil {
			t.Fatal(err)
		}
		sender := pid - 1
		if want := strings.Repeat(strconv.Itoa(sender), next[sender]) + "|"; text != want {
			t.Fatalf("sender %d: received %q, want %q", sender, text, want)
		}
		next[sender]++
	}
	group.Wait()
}
