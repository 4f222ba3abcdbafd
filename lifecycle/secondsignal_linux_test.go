package lifecycle_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestSecondSignalWithoutSuccessor kills the successor of a process that
// drains. Nobody but an operator can hurry that any more, by the second signal.
func TestSecondSignalWithoutSuccessor(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=3h")
	c := d.dial()
	d.underWay(c, "/?d=1h")
	d.reload()
	_ = syscall.Kill(d.status().PID, syscall.SIGKILL)
	d.eventually("the loss to be noted", func() bool { return strings.Contains(d.logged(), "the successor is gone") })
	d.tell(d.first, 1)
	d.tell(d.first, 2)
	c.closed()
	d.eventually("the process to end", func() bool { return len(d.processes()) == 0 })
}

// TestSecondSignalWhileStarting tells a successor twice to stop before it is
// the main process. It ends as soon as it is.
func TestSecondSignalWhileStarting(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=3h")
	d.write("hold", "1 hand over")
	d.signal(syscall.SIGHUP)
	d.awaitFile("held")
	var c *client
	d.eventually("the successor to accept a connection", func() bool {
		c = d.dial()
		generation, err := (&kept{c.Conn, c.reader}).exchange()
		return err == nil && generation == 2
	})
	d.underWay(c, "/?d=1h")
	second := slices.DeleteFunc(d.processes(), func(pid int) bool { return pid == d.first })[0]
	d.tell(second, 1)
	d.tell(second, 2)
	d.goOn()
	c.closed()
	d.eventually("both processes to end", func() bool { return len(d.processes()) == 0 })
}

// tell sends a process the signal to stop, the nth of all, and waits until it is
// noted.
func (d *local) tell(pid, nth int) {
	d.t.Helper()
	_ = syscall.Kill(pid, syscall.SIGTERM)
	d.eventually("the signal to be noted", func() bool { return strings.Count(d.logged(), "signal: signal=terminated") == nth })
}

// TestSecondSignalToMain has the predecessor end while the service stops.
// systemd, which follows the successor, signals that once: the second signal is
// an operator's.
func TestSecondSignalToMain(t *testing.T) {
	t.Parallel()
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		older := d.dial()
		older.ask("/?until=go&begun=" + begun)
		d.awaitFile("/run/daemon/" + begun)
		d.reload()
		c := d.dial()
		c.ask("/?until=never&begun=" + begun + "-2")
		d.awaitFile("/run/daemon/" + begun + "-2")
		stop := d.machine.Start("systemctl", "stop", "daemon.service")
		d.awaitJournal("stopping: signal=terminated")
		d.machine.WriteFile("/run/daemon/go", "", 0o644)
		older.answer(1)
		d.awaitJournal("this is the main process to systemd")
		d.machine.MustRun("systemctl", "kill", "daemon.service")
		d.awaitJournal("told to stop a second time")
		c.closed()
		_, _ = stop.Wait()
	})
}

// TestSlowStateAtPredecessorsEnd has the signal of the predecessor's end come
// when nothing is left to do but to pass a state: there is time for that. A
// command of the unit's, between the two, lasts until the state is asked for.
func TestSlowStateAtPredecessorsEnd(t *testing.T) {
	t.Parallel()
	sdtest.Require(t, sdtest.V252)
	d, c := startManagedSuccessors(t, sdtest.V252, "ExecStopPost=/bin/sh -c 'while [ -e /srv/slow -a ! -e /run/daemon/asked ]; do sleep 0.1; done'")
	c.account()
	d.machine.WriteFile("/run/daemon/hold", "1 hand over", 0o644)
	reload := d.machine.Start("systemctl", "reload", "daemon.service")
	d.awaitFile("/run/daemon/held")
	d.machine.WriteFile("/srv/slow", "", 0o644)
	restart := d.machine.Start("systemctl", "restart", "daemon.service")
	d.awaitFile("/run/daemon/told")
	d.awaitJournal("stopping: signal=terminated")
	d.machine.MustRun("rm", "/run/daemon/hold")
	d.awaitJournal("the signal of the predecessor's end")
	time.Sleep(time.Second) // more than a state may take when there is no time
	d.machine.MustRun("rm", "/srv/slow")
	_, _ = reload.Wait()
	if out, err := restart.Wait(); err != nil {
		t.Fatalf("restart: %v: %s", err, out)
	}
	got := c.account()
	checkSuccessor(t, got, 3)
	if strings.Contains(d.machine.Journal("-u", "daemon.service"), "cannot pass state") {
		t.Error("a state was not waited for")
	}
}

// TestReloadInExecStop has a reload begin when systemd has begun to stop the
// unit, and signals nobody yet. systemd 252 then has the predecessor for the
// main process to the end, which learns of the stop when it has handed over.
func TestReloadInExecStop(t *testing.T) {
	t.Parallel()
	withV252(t, func(t *testing.T, d *managedDaemon) {
		older := d.connect(5)
		busy := d.dial()
		busy.ask("/?until=go&begun=" + begun)
		d.awaitFile("/run/daemon/" + begun)
		restart := d.machine.Start("systemctl", "restart", "daemon.service")
		d.machine.Wait("the command", func() bool { return d.machine.Property("daemon.service", "SubState") == "stop" })
		d.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "HUP", "daemon.service")
		d.awaitJournal("draining: ") // the predecessor
		clients := append(d.connect(5), older...)
		d.mustExchange(clients, 2)
		d.machine.WriteFile("/run/daemon/stop", "", 0o644)
		if strings.HasSuffix(t.Name(), "/252") {
			d.awaitJournal("this is the main process to systemd")
		}
		d.machine.WriteFile("/run/daemon/go", "", 0o644)
		busy.answer(1)
		_ = busy.Close() // it stays with the predecessor, which was told before the successor had a queue
		if out, err := restart.Wait(); err != nil {
			t.Fatalf("restart: %v: %s", err, out)
		}
		d.mustExchange(clients, 3)
	}, "ExecReload=", "ExecStop=/bin/sh -c 'until [ -e /run/daemon/stop ]; do sleep 0.1; done'\nEnvironment=HEIRLOOM_TEST_LINGER=10m\nExecReload=")
}

// withV252 is eachSystemd that has systemd 252 among them.
func withV252(t *testing.T, test func(t *testing.T, d *managedDaemon), edits ...string) {
	t.Helper()
	versions := sdtest.Turn(t.Name())
	if !slices.Contains(versions, sdtest.V252) {
		versions = append(versions, sdtest.V252)
	}
	onSystemds(t, versions, test, edits...)
}
