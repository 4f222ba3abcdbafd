package lifecycle_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/loadtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestStopFinishesRequests(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=300ms")
	busy, idle, fresh, halfway := d.dial(), d.dial(), d.dial(), d.dial()
	idle.ask("/")
	idle.answer(1)
	busy.ask("/?d=2s")
	if _, err := halfway.Write([]byte("GET / HTTP/1.1\r\nHost: te")); err != nil {
		t.Fatal(err)
	}
	d.eventually("the requests to arrive", func() bool { return d.status().Requests == 1 })
	d.signal(syscall.SIGTERM)
	d.eventually("the service to stop", func() bool { return strings.Contains(d.logged(), "stopping") })
	idle.ask("/")
	if !idle.answer(1) {
		t.Error("a request within the linger was not told that the connection closes")
	}
	fresh.closed()
	if _, err := halfway.Write([]byte("st\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if !halfway.answer(1) {
		t.Error("a request completed after the linger was not told that the connection closes")
	}
	busy.answer(1)
	busy.closed()
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

func TestStopNow(t *testing.T) {
	d := startLocal(t, "tcp")
	busy := d.dial()
	busy.ask("/?d=1h")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.stopNow()
	busy.closed()
	checkDrainTimeout(t, d)
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

func TestDrainTimeout(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=500ms")
	busy := d.dial()
	busy.ask("/?d=1h")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.signal(syscall.SIGTERM)
	busy.closed()
	checkDrainTimeout(t, d)
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

// TestStopWithPredecessor stops a service of which an older generation still answers a request.
func TestStopWithPredecessor(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=200ms")
	busy := d.dial()
	busy.ask("/?d=3s")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.reload()
	s := d.status()
	if len(s.Predecessors) != 1 || s.Predecessors[0].Requests != 1 || s.Predecessors[0].Generation != 1 {
		t.Errorf("predecessors %+v, want generation 1 with its request", s.Predecessors)
	}
	d.signal(syscall.SIGTERM)
	busy.answer(1)
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
	if logged := d.logged(); strings.Contains(logged, "timed out") || strings.Contains(logged, "panic") {
		t.Error("the stop was not a clean one")
	}
}

// TestStopTwiceInReload has a stop come when it is too late to call the reload off, and again to all processes, as systemd does:
// to neither the second one means now, for the successor has only heard of the first.
func TestStopTwiceInReload(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=200ms")
	busy := d.dial()
	busy.ask("/?d=3s")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	first := d.status().PID
	d.write("freeze", "2 take over")
	go func() { _, _ = d.command("reload") }()
	d.eventually("the successor to be about to serve", func() bool { return !exists(d.dir+"/freeze") && len(d.processes()) == 2 })
	_ = syscall.Kill(first, syscall.SIGTERM)
	d.eventually("the stop", func() bool { return strings.Contains(d.logged(), "stopping") })
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	d.eventually("the successor to stop", func() bool { return strings.Contains(d.logged(), "the predecessor was told to") })
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	busy.answer(1)
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// TestStopNowWithPredecessor tells the service a second time, which ends the older generation as well.
func TestStopNowWithPredecessor(t *testing.T) {
	d := startLocal(t, "tcp")
	busy := d.dial()
	busy.ask("/?d=1h")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.reload()
	d.stopNow()
	busy.closed()
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// TestTooManyPredecessors has one more generation drain than may: the oldest is given a little time, the others all of it.
func TestTooManyPredecessors(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_MAX=1")
	oldest, older := d.dial(), d.dial()
	oldest.ask("/?d=1h")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.reload()
	older.ask("/?d=8s")
	d.eventually("the request to arrive", func() bool { return d.status().Requests == 1 })
	d.reload()
	if s := d.status(); len(s.Predecessors) != 2 {
		t.Errorf("predecessors %+v, want two", s.Predecessors)
	}
	oldest.closed()
	older.answer(2)
	d.eventually("one process to be left", func() bool { return len(d.processes()) == 1 })
}

// TestUnix reloads a service on a Unix socket, whose path it must keep until the end, and then remove.
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

// TestTimeoutsOfMovedConnections checks that a connection that moved is idle to the successor, and not new.
func TestTimeoutsOfMovedConnections(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_HEADER=300ms", "HEIRLOOM_TEST_IDLE=2s")
	kept, idle, slow, pieces := d.dial(), d.dial(), d.dial(), d.dial()
	for _, c := range []*client{kept, idle, slow, pieces} {
		c.ask("/")
		c.answer(1)
	}
	d.reload()
	d.eventually("the connections to move", func() bool { return d.status().Connections.New == 4 })
	time.Sleep(600 * time.Millisecond) // longer than ReadHeaderTimeout, shorter than IdleTimeout
	kept.ask("/")
	kept.answer(2)
	if _, err := slow.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := pieces.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // within ReadHeaderTimeout
	if _, err := pieces.Write([]byte("Host: test\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	pieces.answer(2)
	slow.closed() // ReadHeaderTimeout counts from the first byte
	idle.closed() // IdleTimeout
}

// TestManyConnections moves more idle connections than fit into a message, or into the messages on their way at a time.
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
		if n := d.status().Connections; n.New+n.Idle != len(clients) {
			t.Errorf("generation %d has %v, want %d in all", generation, n, len(clients))
		}
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

// TestAddressChanges reloads into a configuration with another address: it is bound anew, connections move all the same, and
// the old address is given up.
func TestAddressChanges(t *testing.T) {
	d := startLocal(t, "tcp")
	kept := d.dial()
	kept.ask("/")
	kept.answer(1)
	old := d.address
	d.address = freeAddress(t)
	d.reconfigure("http!" + d.address)
	d.reload()
	kept.ask("/")
	if kept.answer(2) {
		t.Error("the connection closes")
	}
	fresh := d.dial()
	fresh.ask("/")
	fresh.answer(2)
	d.eventually("the old address to be given up", func() bool { return refused(old) })
}

// TestListenerGoesAway reloads into a configuration without the listener: its connections have no successor, and are told so.
func TestListenerGoesAway(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_LINGER=500ms")
	kept, idle := d.dial(), d.dial()
	for _, c := range []*client{kept, idle} {
		c.ask("/")
		c.answer(1)
	}
	d.reconfigure("other!" + freeAddress(t))
	d.reload()
	kept.ask("/")
	if !kept.answer(1) {
		t.Error("the connection was not told that it closes")
	}
	kept.closed()
	idle.closed()
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
	if !refused(d.address) {
		t.Error("the address is still bound")
	}
}

// TestAddressTaken reloads into a configuration whose address another process has: the reload fails and says so.
func TestAddressTaken(t *testing.T) {
	d := startLocal(t, "tcp")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	d.reconfigure("http!" + other.Addr().String())
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "address already in use") || !strings.Contains(out, other.Addr().String()) {
		t.Errorf("reload: %v, %s, want the address that is in use", err, out)
	}
	c := d.dial()
	c.ask("/")
	c.answer(1)
}

func refused(address string) bool {
	nc, err := net.Dial("tcp", address)
	if err == nil {
		_ = nc.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// TestTLS checks that a connection that cannot move is told to close, rather than closed.
func TestTLS(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_LINGER=500ms")
	kept, idle := d.dialTLS(), d.dialTLS()
	kept.ask("/")
	if kept.answer(1) {
		t.Error("the connection closes though nothing was asked for")
	}
	idle.ask("/")
	idle.answer(1)
	d.reload()
	kept.ask("/")
	if !kept.answer(1) {
		t.Error("the connection was not told that it closes")
	}
	kept.closed()
	idle.closed()
	fresh := d.dialTLS()
	fresh.ask("/")
	fresh.answer(2)
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
}

// TestKilledWithoutManager kills either side where nobody restarts it: the other serves on.
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
