package e2e_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// everyPlace runs a test where a process can only be replaced in place.
func everyPlace(t *testing.T, test func(t *testing.T, h *terminal)) {
	t.Parallel()
	for _, p := range []struct {
		name string
		boot func(*testing.T) *terminal
	}{{"terminal", newForeground}, {"container", newContainer}} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			h := p.boot(t)
			h.install(program("v1"))
			h.start()
			test(t, h)
		})
	}
}

// TestInPlace reloads in place, by signal and by command in turn, and no client
// notices.
func TestInPlace(t *testing.T) {
	everyPlace(t, func(t *testing.T, h *terminal) {
		mustReload(t, h)
		first := settled(t, h)
		descriptors, threads := idleDescriptors(t, h, first.PID), h.threads(first.PID)
		run := loadtest.Start(brisk(h), crowd())
		const reloads = 50
		for i := 2; i <= reloads; i++ {
			if i%2 == 0 {
				h.command("reload")
			} else {
				mustReload(t, h)
			}
			if s := h.status(); s.PID != first.PID || s.Generation != i+1 {
				t.Fatalf("after reload %d: status %+v, want process %d", i, s, first.PID)
			}
		}
		waitGeneration(t, run, reloads+1)
		verify(t, run)
		mustReload(t, h) // for a process that has had no load, like the first
		last := settled(t, h)
		if d := idleDescriptors(t, h, last.PID); d != descriptors {
			t.Errorf("%d descriptors, after the first reload it were %d", d, descriptors)
		}
		checkThreads(t, h, last.PID, threads)
		h.interrupt()
	})
}

// TestInPlaceStorm asks for reloads faster than they can be done.
func TestInPlaceStorm(t *testing.T) {
	everyPlace(t, func(t *testing.T, h *terminal) {
		run := loadtest.Start(brisk(h), crowd())
		waitGeneration(t, run, 1)
		for range 3 {
			before := h.status().Generation
			for range 30 {
				h.kill(h.first, syscall.SIGHUP)
				time.Sleep(5 * time.Millisecond) // the interval is what is tested
			}
			h.wait("a reload to begin and end", func() bool { return h.status().Generation > before })
			if s := settled(t, h); s.PID != h.first {
				t.Errorf("process %d serves, want %d", s.PID, h.first)
			}
		}
		s := settled(t, h)
		if s.Generation < 4 {
			t.Errorf("generation %d serves after three storms", s.Generation)
		}
		waitGeneration(t, run, s.Generation)
		verify(t, run)
		h.interrupt()
	})
}

// TestPrivatePIDs has systemd make hello PID 1 of a process namespace of its
// own: it is reloaded in place and restarted by way of the store, in turn.
//
// Not on 257, where PrivatePIDs= is new: when busy, that systemd may take the
// process for no child of its own ("We'll most likely not notice when it
// exits"), and then sends it SIGKILL without SIGTERM.
func TestPrivatePIDs(t *testing.T) {
	t.Parallel()
	h := startManaged(t, sdtest.V262, withoutSocket, often, privatePIDs)
	run := loadtest.Start(brisk(h), crowd())
	const rounds = 10
	for i := range rounds {
		main := h.machine.Property("hello.service", "MainPID")
		mustReload(t, h)
		waitGeneration(t, run, 2*i+2)
		if now := h.machine.Property("hello.service", "MainPID"); now != main {
			t.Errorf("the main process is %s after a reload, it was %s", now, main)
		}
		mustRestart(t, h)
		waitGeneration(t, run, 2*i+3)
	}
	verify(t, run)
	if s := h.status(); s.PID != 1 || s.Generation != 2*rounds+1 {
		t.Errorf("status %+v, want process 1 and generation %d", s, 2*rounds+1)
	}
	h.wait("two sockets and the ledger to be stored", func() bool { return h.stored() == 5 })
	checkJournal(t, h)
}

// interrupt ends hello as its user would: with Ctrl-C where there is a
// keyboard, and else as container engines do.
func (h *terminal) interrupt() {
	h.t.Helper()
	if h.screen != nil {
		if _, err := h.screen.Write([]byte{'C' - '@'}); err != nil {
			h.t.Fatal(err)
		}
	} else {
		h.kill(h.first, syscall.SIGTERM)
	}
	ctx, cancel := context.WithTimeoutCause(h.t.Context(), patience.Of(30*time.Second), fmt.Errorf("still runs"))
	defer cancel()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("hello ended with %v", err)
		}
	case <-ctx.Done():
		h.t.Error(context.Cause(ctx))
	}
	if left := h.processes(); len(left) > 0 {
		h.t.Errorf("processes left: %v", left)
	}
}
