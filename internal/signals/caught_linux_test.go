package signals_test

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/signals"
)

// TestStopIsNotCrowdedOut sends far more signals of other meanings than wait.
func TestStopIsNotCrowdedOut(t *testing.T) {
	m := signals.Meanings{
		Reload:   []os.Signal{syscall.SIGUSR2},
		Stop:     []os.Signal{syscall.SIGTERM},
		Profiles: []os.Signal{syscall.SIGUSR1},
	}
	c := signals.Catch(m)
	defer c.Release()
	if sig := c.StopSignal(); sig != nil {
		t.Fatalf("%v came out of nowhere", sig)
	}
	for range 1000 {
		send(t, syscall.SIGUSR2)
		send(t, syscall.SIGUSR1)
	}
	send(t, syscall.SIGTERM)
	if sig := <-c.Stop; sig != syscall.SIGTERM {
		t.Errorf("told to stop by %v", sig)
	}
	if sig := <-c.Reload; sig != syscall.SIGUSR2 {
		t.Errorf("told to reload by %v", sig)
	}
}

func send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

// TestMeaningsOverlap has signals in several lists.
func TestMeaningsOverlap(t *testing.T) {
	hup, term, usr1 := os.Signal(syscall.SIGHUP), os.Signal(syscall.SIGTERM), os.Signal(syscall.SIGUSR1)
	m := signals.Meanings{Reload: []os.Signal{hup}, Stop: []os.Signal{term, hup}, Profiles: []os.Signal{usr1}}
	if got := m.OnlyStop(); !slices.Equal(got, []os.Signal{term}) {
		t.Errorf("only stop: %v", got)
	}
	if got := m.Harmless(); !slices.Equal(got, []os.Signal{hup, usr1}) {
		t.Errorf("harmless: %v", got)
	}
	if got := m.WithDefaults().Stacks; got == nil || len(got) > 0 { // SIGUSR1 is taken
		t.Errorf("stacks: %v", got)
	}
}
