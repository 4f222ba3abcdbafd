package lifecycle_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestStopAnswersWithinLinger has a client ask after the stop has begun, within
// a linger that no test sees the end of.
func TestStopAnswersWithinLinger(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=1h", "HEIRLOOM_TEST_DRAIN=3h")
	idle, fresh := d.dial(), d.dial()
	idle.ask("/")
	idle.answer(1)
	busy := d.hold()
	d.signal(syscall.SIGTERM)
	d.drains() // no sooner are clients told: "stopping" is logged before that
	for _, c := range []*client{idle, fresh} {
		c.ask("/")
		if !c.answer(1) {
			t.Error("a request within the linger was not told that the connection closes")
		}
		c.closed()
	}
	d.release()
	if !busy.answer(1) { // which had been under way
		busy.ask("/")
		busy.answer(1)
	}
	busy.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestStopFinishesRequests has the linger end while there are requests, whole
// and in part.
func TestStopFinishesRequests(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=100ms", "HEIRLOOM_TEST_DRAIN=3h", "HEIRLOOM_TEST_SILENCE=1h")
	idle, fresh, halfway := d.dial(), d.dial(), d.dial()
	idle.ask("/")
	idle.answer(1)
	if _, err := halfway.Write([]byte("GET / HTTP/1.1\r\nHost: te")); err != nil {
		t.Fatal(err)
	}
	busy := d.hold() // which has the service read what was sent before
	d.signal(syscall.SIGTERM)
	idle.closed()
	fresh.closed()
	if _, err := halfway.Write([]byte("st\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if !halfway.answer(1) {
		t.Error("a request completed after the linger was not told that the connection closes")
	}
	d.release()
	busy.answer(1)
	busy.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// stopNow tells the service twice to stop.
func (d *local) stopNow() {
	d.t.Helper()
	pid := d.status().PID
	for range 2 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		d.eventually("the signal to arrive", func() bool { return strings.Contains(d.logged(), "stopping") })
	}
}

func checkDrainTimeout(t *testing.T, d *local) {
	t.Helper()
	var exit *exec.ExitError
	if err := d.awaitExit(); !errors.As(err, &exit) {
		t.Errorf("the process ended with %v, want an exit status", err)
	}
	if want := lifecycle.ErrDrainTimeout.Error(); !strings.Contains(d.logged(), want) {
		t.Errorf("the log has no %q:\n%s", want, d.logged())
	}
}

// TestStopTwiceInReload has a stop come when it is too late to call the reload
// off, and again to all processes, as systemd does: to neither the second one
// means now, for the successor has only heard of the first.
func TestStopTwiceInReload(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=200ms")
	busy := d.hold()
	first := d.status().PID
	d.write("freeze", "2 take over")
	go func() { _, _ = d.command("reload") }()
	d.awaitFrozen() // the successor, which is about to serve
	_ = syscall.Kill(first, syscall.SIGTERM)
	d.eventually("the stop", func() bool { return strings.Contains(d.logged(), "stopping") })
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	d.eventually("the successor to stop", func() bool { return strings.Contains(d.logged(), "the predecessor was told to") })
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	d.release()
	busy.answer(1)
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// TestStopNowWithPredecessor tells the service a second time, which ends the
// older generation as well.
func TestStopNowWithPredecessor(t *testing.T) {
	d := startLocal(t, "tcp")
	busy := d.dial()
	d.underWay(busy, "/?d=1h")
	d.reload()
	d.stopNow()
	busy.closed()
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// TestTooManyPredecessors has one more generation drain than may: the oldest is
// given a little time, the others all of it.
func TestTooManyPredecessors(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_MAX=1")
	oldest := d.dial()
	d.underWay(oldest, "/?d=1h")
	d.reload()
	older := d.hold()
	d.reload()
	d.eventually("the oldest to be hurried", func() bool {
		return strings.Contains(d.logged(), "hurrying the oldest: generation=1 ")
	})
	oldest.closed()
	d.release()
	older.answer(2)
	d.eventually("one process to be left", func() bool { return len(d.processes()) == 1 })
}

// TestUnix reloads a service on a Unix socket, whose path it must keep until
// the end, and then remove.
func TestUnix(t *testing.T) {
	d := startLocal(t, "unix")
	run := loadtest.Start(loadtest.Target{Network: "unix", Address: d.address}, loadtest.OfEach(2))
	for range 20 {
		d.reload()
	}
	if err := run.WaitGeneration(t.Context(), 21); err != nil {
		t.Error(err)
	}
	loadtest.Verify(t, run.Stop())
	d.signal(syscall.SIGTERM)
	d.eventually("every process to end", func() bool { return len(d.processes()) == 0 })
	for _, path := range []string{d.address, d.dir + "/control"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", path, err)
		}
	}
}

// TestManyConnections moves more idle connections than fit into a message, or
// into the messages on their way at a time.
func TestManyConnections(t *testing.T) {
	d := startLocal(t, "tcp")
	clients := make([]*client, 1200)
	for i := range clients {
		clients[i] = d.dial()
		if i%3 > 0 { // the others are new
			clients[i].ask("/")
			clients[i].answer(1)
		}
	}
	for generation := 2; generation <= 4; generation++ {
		d.reload()
		d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
		d.eventually("all connections to arrive", func() bool {
			n := d.status().Connections
			return n.New+n.Idle == len(clients)
		})
		for _, c := range clients {
			c.ask("/")
		}
		for _, c := range clients {
			if c.answer(generation) {
				t.Error("a connection closes")
			}
		}
	}
}

// TestTLS checks that a connection that cannot move is told to close, rather
// than closed.
func TestTLS(t *testing.T) {
	for _, linger := range lingers {
		t.Run(linger, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_LINGER="+linger)
			c := d.dialTLS()
			c.ask("/")
			if c.answer(1) {
				t.Error("the connection closes though nothing was asked for")
			}
			d.reload()
			c.leave(linger)
			fresh := d.dialTLS()
			fresh.ask("/")
			fresh.answer(2)
			d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
		})
	}
}

// TestKilledWithoutManager kills either side where nobody restarts it: the
// other serves on.
func TestKilledWithoutManager(t *testing.T) {
	tests := []struct {
		kill   string
		serves int
	}{
		{"1 started", 2}, {"1 ready", 2}, {"1 go", 2}, {"1 hand over", 2}, {"1 handed over", 2}, {"2 take over", 1},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.kill, " ", "-"), func(t *testing.T) {
			d := startLocal(t, "tcp")
			if err := os.WriteFile(d.dir+"/kill", []byte(test.kill), 0o644); err != nil {
				t.Fatal(err)
			}
			_, _ = d.command("reload")
			_ = os.Remove(d.dir + "/kill")
			d.eventually("one process to serve", func() bool {
				out, err := d.command("status")
				return err == nil && strings.Contains(out, "ready") && len(d.processes()) == 1
			})
			if s := d.status(); s.Generation != test.serves {
				t.Errorf("generation %d serves, want %d", s.Generation, test.serves)
			}
			run := loadtest.Start(loadtest.Target{Address: d.address}, loadtest.OfEach(1))
			d.reload()
			loadtest.Verify(t, run.Stop())
		})
	}
}
