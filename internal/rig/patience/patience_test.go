package patience_test

import (
	"context"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestOf has no limit get shorter, on whatever machine.
func TestOf(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Millisecond, time.Hour} {
		if got := patience.Of(d); got < d || got > patience.Most*d {
			t.Errorf("Of(%v) = %v", d, got)
		}
	}
	if left := time.Until(patience.Deadline(time.Hour)); left < 59*time.Minute {
		t.Errorf("a deadline in %v, want an hour at least", left)
	}
	ctx, cancel := patience.Context(t.Context(), time.Hour)
	defer cancel()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < 59*time.Minute {
		t.Errorf("a context until %v, want an hour at least", deadline)
	}
}

// TestContextEnds has a limit that is over be over.
func TestContextEnds(t *testing.T) {
	ctx, cancel := patience.Context(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if ctx.Err() != context.DeadlineExceeded {
		t.Error(ctx.Err())
	}
}

// TestSlowness has limits grow as a process start does, and never shrink.
func TestSlowness(t *testing.T) {
	for took, want := range map[time.Duration]float64{
		0: 1, time.Millisecond: 1, 100 * time.Millisecond: 1, 150 * time.Millisecond: 1.5, time.Second: 10, time.Hour: patience.Most,
	} {
		if got := patience.Slowness(took); got != want {
			t.Errorf("a process that takes %v to start stretches limits by %v, want %v", took, got, want)
		}
	}
}

// TestMeasured has a start of this program take some time.
func TestMeasured(t *testing.T) {
	if took := patience.Slowest(); took <= 0 {
		t.Errorf("this program starts in %v", took)
	}
}

func TestUntil(t *testing.T) {
	n := 0
	if !patience.Until(time.Hour, func() bool { n++; return n == 3 }) || n != 3 {
		t.Errorf("looked %d times, want 3", n)
	}
	n = 0
	if patience.Until(time.Millisecond, func() bool { n++; return false }) || n == 0 {
		t.Errorf("what never happens has happened, or was not looked for: %d", n)
	}
}
