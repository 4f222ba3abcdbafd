package e2e_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestCrash kills the main process under load. What was connected to it is
// lost, once, and nobody is refused.
func TestCrash(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		mustRestart(t, h)
		before := measure(t, h)
		crashes := sdtest.Rounds(h.version, 10)
		for i := range crashes {
			if crash(t, h, i+2); t.Failed() {
				return
			}
		}
		run := loadtest.Start(brisk(h), crowd())
		for i := range 3 {
			waitGeneration(t, run, crashes+2+i)
			mustRestart(t, h)
		}
		waitGeneration(t, run, crashes+5)
		verify(t, run)
		mustRestart(t, h)
		checkMeasure(t, h, before)
	})
}

// crash kills the process of a generation under a load of its own, so that the
// report shows each broken client.
func crash(t *testing.T, h *managed, generation int) {
	t.Helper()
	pid := h.status().PID
	began := interval{from: time.Now()}
	const clients = 5 // a report keeps as many errors of a class
	run := loadtest.Start(brisk(h), loadtest.OfEach(clients))
	began.to = time.Now()
	waitGeneration(t, run, generation)
	poll(t, "another moment to come each time", func() bool { return run.Snapshot().Requests > 50*generation })
	killed := interval{from: time.Now()}
	h.kill(pid, syscall.SIGKILL)
	killed.to = time.Now()
	waitGeneration(t, run, generation+1)
	report := run.Stop()
	for _, class := range report.ByClass {
		checkCrash(t, class, began, killed)
	}
	if report.Broken == 0 {
		t.Error("no request was broken, so nothing was killed")
	}
	if s := settled(t, h); s.Generation != generation+1 {
		t.Errorf("generation %d serves after the crash of %d", s.Generation, generation)
	}
}

// dying is how long another processor may take to hear that its thread was
// killed, as package patience stretches it.
const dying = 20 * time.Millisecond

// checkCrash checks that each client lost no more than the connection that it
// had when the process was killed. Errors tell the time since the load began.
func checkCrash(t *testing.T, class loadtest.ClassReport, began, killed interval) {
	t.Helper()
	broken := make(map[int]bool)
	known := 0
	for _, err := range class.FirstErrors {
		var e *loadtest.BrokenError
		switch {
		case !errors.As(err, &e) || e.Conn == nil:
			t.Errorf("no connection: %v", err)
			continue
		case broken[e.Client]:
			t.Errorf("a second time: %v", err)
		case began.from.Add(e.After).Add(-e.Conn.Age).After(killed.to.Add(patience.Of(dying))):
			t.Errorf("on a connection that was asked for after the crash: %v", err)
		case began.to.Add(e.After).Before(killed.from):
			t.Errorf("before the crash: %v", err)
		}
		broken[e.Client] = true
		known += e.Unanswered
	}
	if known != class.Broken {
		t.Errorf("%d requests of %s are broken, of which %d are accounted for", class.Broken, class.Class, known)
	}
}

// TestCrashWhileDraining kills the main process when it has been told to stop
// and waits for a last request. The connections that it had put by are not lost
// with it.
func TestCrashWhileDraining(t *testing.T) {
	everyManager(t, func(t *testing.T, h *managed) {
		idle := call(t, h.target(), 300)
		slow := connect(t, h.target(), 1)
		slow.write("GET /sleep?d=1h HTTP/1.1\r\nHost: hello\r\n\r\n")
		var pid int
		h.wait("the slow request to be under way", func() bool {
			s := h.status()
			pid = s.PID
			return s.Requests >= 1 && s.Connections.Idle >= 300
		})
		restart := h.machine.Start("systemctl", "restart", "hello.service")
		h.wait("all but one of the connections to leave the process", func() bool { return h.connections(pid) == 1 })
		idle.send()
		h.kill(pid, syscall.SIGKILL)
		if out, err := restart.Wait(); err != nil {
			t.Errorf("restart: %v: %s", err, out)
		}
		if low, high := idle.receive(); low != 2 || high != 2 {
			t.Errorf("generations %d to %d have answered, want 2", low, high)
		}
		slow.closed()
		mustRestart(t, h)
		idle.expect(3)
	})
}
