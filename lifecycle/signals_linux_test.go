package lifecycle_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestDefaultSignals checks which signal does what, by what was chosen.
func TestDefaultSignals(t *testing.T) {
	hup, usr1, usr2, term := syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM
	tests := []struct {
		name                 string
		options              lifecycle.Options
		reload, stop, stacks []os.Signal
	}{
		{"nothing chosen", lifecycle.Options{}, signals(hup, usr2), signals(term, syscall.SIGINT), signals(usr1)},
		{"a profile by SIGUSR2", lifecycle.Options{ProfileSignals: signals(usr2)}, signals(hup), signals(term, syscall.SIGINT), signals(usr1)},
		{"a reload by SIGUSR1", lifecycle.Options{ReloadSignals: signals(usr1)}, signals(usr1), signals(term, syscall.SIGINT), nil},
		{"a stop by SIGHUP", lifecycle.Options{StopSignals: signals(hup)}, signals(usr2), signals(hup), signals(usr1)},
		{"stacks by SIGHUP and SIGINT", lifecycle.Options{StackSignals: signals(hup, syscall.SIGINT)}, signals(usr2), signals(term), signals(hup, syscall.SIGINT)},
		{"none", lifecycle.Options{ReloadSignals: signals(), StopSignals: signals(), StackSignals: signals()}, nil, nil, nil},
	}
	for _, test := range tests {
		o := test.options.WithDefaults()
		for _, list := range []struct {
			name      string
			got, want []os.Signal
		}{
			{"reload", o.ReloadSignals, test.reload}, {"stop", o.StopSignals, test.stop}, {"stacks", o.StackSignals, test.stacks},
		} {
			if !slices.Equal(list.got, list.want) || list.got == nil {
				t.Errorf("%s: %s by %v, want %v", test.name, list.name, list.got, list.want)
			}
		}
	}
}

func signals(list ...os.Signal) []os.Signal { return append([]os.Signal{}, list...) }

// TestStacks has the stacks of a worker that hangs in the log, before and while
// the service drains.
func TestStacks(t *testing.T) {
	p := newPatient(t, lifecycle.Options{})
	hangs, release := make(chan struct{}), make(chan struct{})
	if err := p.service.Go("hangs", func(context.Context) error { hangForTheTest(hangs, release); return nil }); err != nil {
		t.Fatal(err)
	}
	p.run()
	p.awaitState(lifecycle.Ready)
	<-hangs
	signalSelf(t, syscall.SIGUSR1)
	p.awaitLog("lifecycle_test.hangForTheTest(")
	p.stop()
	p.awaitState(lifecycle.Draining)
	logged := func() int { return strings.Count(p.log.String(), "stacks of all goroutines") }
	before := logged()
	if err := eventually(func() bool {
		signalSelf(t, syscall.SIGUSR1) // perhaps not the first, while it has to do with the stacks before
		return logged() > before
	}); err != nil {
		t.Errorf("no stacks are logged while the service drains: %v", err)
	}
	close(release)
	p.awaitEnd()
}

//go:noinline
func hangForTheTest(hangs chan<- struct{}, release <-chan struct{}) {
	close(hangs)
	<-release
}

func signalSelf(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

// TestToolSignalsInPlace sends signals that only write to the log, without a
// pause, while the program is replaced: none may kill the new one before it
// catches them.
func TestToolSignalsInPlace(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched", "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_PROFILES="+t.TempDir())
	pid := d.status().PID
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(200 * time.Microsecond); ; {
			select {
			case <-tick.C:
				_ = syscall.Kill(pid, syscall.SIGUSR1)
				_ = syscall.Kill(pid, syscall.SIGUSR2)
			case <-stop:
				return
			}
		}
	}()
	for generation := 2; generation <= 4; generation++ {
		_ = syscall.Kill(pid, syscall.SIGHUP)
		want := fmt.Sprintf(`"generation": %d,`, generation)
		d.eventually("the next program", func() bool {
			out, _ := d.command("status", "-json")
			return strings.Contains(out, want)
		})
	}
	close(stop)
	<-stopped
	if s := d.status(); s.Generation != 4 || s.PID != pid {
		t.Errorf("generation %d serves in process %d, want 4 in %d", s.Generation, s.PID, pid)
	}
}
