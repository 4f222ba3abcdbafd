package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// awaitLine reads until a message has a line that begins so.
func (l *listening) awaitLine(begins string) {
	l.t.Helper()
	for !strings.Contains("\n"+l.next(), "\n"+begins) {
	}
}

// TestLastState stops a service whose state takes long to be had, which is the
// last that it does: the service manager hears that it goes on, and so does
// whoever asks for the status, be it the function that gives the state.
func TestLastState(t *testing.T) {
	t.Setenv("FDSTORE", "16")
	manager := listenAsManager(t, "")
	p := newPatient(t, lifecycle.Options{DrainTimeout: patience.Of(time.Minute), StopExtension: time.Hour})
	statuses, release := make(chan lifecycle.Status, 1), make(chan struct{})
	err := p.service.PassState("slow", func() (lifecycle.PassedState, error) {
		status, err := p.service.Status(context.Background())
		statuses <- status
		<-release
		return lifecycle.PassedState{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.run()
	p.awaitState(lifecycle.Ready)
	p.stop()
	select {
	case s := <-statuses:
		if s.State != lifecycle.Draining || s.Drain == nil || s.Since.IsZero() {
			t.Errorf("status %+v, want one that drains", s)
		}
	case <-time.After(patience.Of(30 * time.Second)):
		t.Error("the function of PassState cannot ask for the status")
	}
	manager.count("") // what was said until now
	manager.awaitLine("EXTEND_TIMEOUT_USEC=")
	manager.awaitLine("STATUS=generation 1, passing state")
	close(release)
	p.awaitEnd()
}
