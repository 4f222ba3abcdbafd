package lifecycle_test

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// provoke has the function called that is at fault, and waits for it, if a
// client can.
func (d *local) provoke(kind string) {
	d.t.Helper()
	switch kind {
	case "health":
		d.dial().ask("/livez")
	case "stream":
		nc, err := net.Dial("unix", filepath.Join(d.dir, "streams"))
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = nc.Close() })
	case "kill":
		d.lines()
		return
	case "conn-close":
		d.dial().sayBack("hello")
		return
	case "hijacked":
		d.dial().ask("/hijack")
		d.eventually("the connection to be hijacked", func() bool { return strings.Contains(d.logged(), "hijacked\n") })
		return
	case "ConnState-closed":
		c := d.dial()
		c.ask("/")
		c.answer(1)
		_ = c.Close()
	case "ConnState-new", "ConnState-active", "ConnState-idle", "ConnContext":
		c := d.dial()
		_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	case "serve", "worker":
		d.release()
	default:
		return
	}
	d.awaitMisbehaviour(kind)
}

func (d *local) awaitMisbehaviour(kind string) {
	d.t.Helper()
	d.eventually("the misbehaviour", func() bool { return strings.Contains(d.logged(), "misbehaving: "+kind+"\n") })
}

// awaitNone waits for all generations to end.
func (d *local) awaitNone() {
	d.t.Helper()
	if !patience.Until(long, func() bool { return len(d.processes()) == 0 }) {
		d.t.Fatalf("processes %v do not end", d.processes())
	}
}

// tellAll sends a signal to all generations, as systemd does to stop a unit.
func (d *local) tellAll(sig syscall.Signal) {
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, sig)
	}
}

// A faultyKind is a kind of function that the program gives to a Service.
type faultyKind struct {
	name       string
	generation int
	breaks     bool // a panic stops the service
	only       string
}

var faultyKinds = []faultyKind{
	{name: "state", generation: 1},
	{name: "health", generation: 1},
	{name: "hook", generation: 1},
	{name: "worker", generation: 1, breaks: true},
	{name: "serve", generation: 1, breaks: true},
	{name: "shutdown", generation: 1},
	{name: "kill", generation: 1},
	{name: "stream", generation: 1},
	{name: "hijacked", generation: 2},
	{name: "ConnState-new", generation: 1},
	{name: "ConnState-active", generation: 1},
	{name: "ConnState-idle", generation: 1},
	{name: "ConnState-closed", generation: 1},
	{name: "ConnContext", generation: 1, breaks: true},
	{name: "BaseContext", generation: 2, breaks: true},
	{name: "listener-close", generation: 1},
	{name: "conn-close", generation: 1},
	{name: "log", generation: 1},
	{name: "unread-log", generation: 1, only: "hangs"},
}

func startFaulty(t *testing.T, kind faultyKind, how string, env ...string) *local {
	t.Helper()
	reload := "1m"
	if kind.name == "state" && how == "hangs" {
		reload = "5s"
	}
	return startLocal(t, "unix", append(env, "HEIRLOOM_TEST_ROLE=faulty", "HEIRLOOM_TEST_DRAIN="+span(time.Second), "HEIRLOOM_TEST_LINGER=50ms",
		"HEIRLOOM_TEST_RELOAD="+reload, fmt.Sprintf("HEIRLOOM_TEST_FAULT=%s %s %d", kind.name, how, kind.generation))...)
}

// forFaults tests each of kinds in every way.
func forFaults(t *testing.T, kinds []faultyKind, test func(t *testing.T, kind faultyKind, how string)) {
	for _, kind := range kinds {
		for _, how := range []string{"hangs", "panics", "exits"} {
			if kind.only != "" && kind.only != how || strings.HasPrefix(kind.name, "ConnState") && how == "exits" {
				continue // runtime.Goexit there is net/http's to bear
			}
			t.Run(kind.name+" "+how, func(t *testing.T) {
				t.Parallel()
				test(t, kind, how)
			})
		}
	}
}

// TestFaultyStop stops a service with a function that misbehaves: it ends
// within its time, and says what there was.
func TestFaultyStop(t *testing.T) {
	ofSuccessor := func(kind faultyKind) bool { return kind.generation > 1 }
	forFaults(t, slices.DeleteFunc(slices.Clone(faultyKinds), ofSuccessor), func(t *testing.T, kind faultyKind, how string) {
		d := startFaulty(t, kind, how)
		d.provoke(kind.name)
		d.tellAll(syscall.SIGTERM)
		d.awaitNone()
		checkStack(t, d, kind.name, how)
	})
}

// checkStack wants the stack of a panic in the log, and nowhere else.
func checkStack(t *testing.T, d *local, kind, how string) {
	t.Helper()
	if how != "panics" || kind == "log" || !strings.Contains(d.logged(), "misbehaving: "+kind) {
		return
	}
	if !strings.Contains(d.logged(), "lifecycle_test.misbehave") {
		t.Error("the log has no stack of the panic")
	}
	_, said, _ := strings.Cut(d.logged(), "\ndaemon: ") // what Run returned
	if strings.Contains(said, "lifecycle_test.misbehave") {
		t.Error("the error of Run has the stack of the panic")
	}
}

// TestFaultyReload reloads a service with a function that misbehaves, and then
// stops it.
func TestFaultyReload(t *testing.T) {
	forFaults(t, faultyKinds, func(t *testing.T, kind faultyKind, how string) {
		d := startFaulty(t, kind, how)
		d.provoke(kind.name)
		out, err := d.command("reload")
		switch {
		case kind.breaks && how != "hangs": // the service stops, or has stopped
		case kind.name == "state":
			checkNoState(t, d, how, out, err)
		case err != nil:
			t.Errorf("reload: %v: %s", err, out)
		case d.status().Generation != 2:
			t.Errorf("generation %d serves, want 2", d.status().Generation)
		}
		d.tellAll(syscall.SIGTERM)
		d.awaitNone()
		checkStack(t, d, kind.name, how)
	})
}

// checkNoState wants a reload to have failed for want of state, and the next
// one too: at once, while the function hangs.
func checkNoState(t *testing.T, d *local, how, out string, err error) {
	t.Helper()
	said := map[string]string{"hangs": "did not return in time", "panics": "panic: out of order", "exits": "ended its goroutine"}[how]
	for i := range 2 {
		if err == nil || !strings.Contains(out, `passed state "account": `) || !strings.Contains(out, said) || strings.Contains(out, "goroutine 1") {
			t.Errorf("reload %d: %v: %s, want it to fail for the account, with %q", i+1, err, out, said)
		}
		out, err = d.command("reload")
		if how == "hangs" {
			said = "has not returned from the call before"
		}
	}
	s := d.status()
	if s.Generation != 1 || s.State != lifecycle.Ready || strings.Contains(s.LastReload.Reason, "misbehave(") {
		t.Errorf("status %+v, want that of a service that goes on", s)
	}
}

// TestFaultyStopDuringReload stops a service that waits for state, as for a
// reload that hangs.
func TestFaultyStopDuringReload(t *testing.T) {
	t.Parallel()
	for _, signals := range []int{1, 2} {
		t.Run(fmt.Sprint(signals), func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "unix", "HEIRLOOM_TEST_ROLE=faulty", "HEIRLOOM_TEST_RELOAD=1h", "HEIRLOOM_TEST_FAULT=state hangs 1")
			d.tellAll(syscall.SIGHUP)
			d.awaitMisbehaviour("state")
			for range signals {
				d.tellAll(syscall.SIGTERM)
			}
			d.awaitNone()
		})
	}
}

// TestFaultyStateInPlace replaces a program in place that has no state to give
// in the end: the next does without.
func TestFaultyStateInPlace(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"hangs", "panics", "exits"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := startFaulty(t, faultyKind{name: "state", generation: 1}, how, "HEIRLOOM_TEST_REPLACE=in-place")
			d.reload()
			d.eventually("the next program", func() bool {
				out, _ := d.command("status", "-json")
				return strings.Contains(out, `"generation": 2,`)
			})
			if !strings.Contains(d.logged(), `cannot pass state to the next process`) {
				t.Error("the log does not say that the state is missing")
			}
			d.tellAll(syscall.SIGTERM)
			d.awaitNone()
		})
	}
}

// TestFaultyStateInPlaceStopped stops a program whose function hangs on the way
// to the next, for which there is no limit: the next program stops.
func TestFaultyStateInPlaceStopped(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "unix", "HEIRLOOM_TEST_ROLE=faulty", "HEIRLOOM_TEST_DRAIN=10h", "HEIRLOOM_TEST_REPLACE=in-place",
		"HEIRLOOM_TEST_FAULT=state hangs 1")
	d.tellAll(syscall.SIGHUP)
	d.awaitMisbehaviour("state")
	d.tellAll(syscall.SIGTERM)
	d.awaitNone()
}

// TestFaultyStateManaged restarts a unit whose function hangs: within its
// timeout, and without a kill.
func TestFaultyStateManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d := startManagedRole(t, v, "faulty", "tcp!127.0.0.1:8080", "", `Environment="HEIRLOOM_TEST_FAULT=state hangs 1"`,
				"TimeoutStopSec=30s") // the function takes all the time that there is
			d.machine.MustRun("systemctl", "restart", "daemon.service")
			d.awaitService("0", 2)
			journal := d.machine.Journal("-u", "daemon.service")
			if !strings.Contains(journal, "did not return in time") || strings.Contains(journal, "Killing") {
				t.Errorf("the journal does not say that the function hung, or says that systemd killed:\n%s", journal)
			}
		})
	}
}
