package successor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/successor"
)

// TestStartup ends with what start returns, also when it is called off, and
// says how long it has waited.
func TestStartup(t *testing.T) {
	wait := func(ctx context.Context) (*successor.Successor, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	calledOff := successor.Begin(time.Hour, wait)
	calledOff.Cancel()
	if r := <-calledOff.Result; r.Successor != nil || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("called off: %+v", r)
	}
	late := successor.Begin(time.Millisecond, wait)
	if r := <-late.Result; r.Err == nil || !strings.Contains(r.Err.Error(), "not ready within 1ms") {
		t.Errorf("late: %+v", r)
	}
	want := &successor.Successor{PID: 7}
	if r := <-successor.Begin(time.Hour, func(context.Context) (*successor.Successor, error) { return want, nil }).Result; r.Successor != want || r.Err != nil {
		t.Errorf("done: %+v", r)
	}
	successor.Begin(time.Millisecond, wait).Abandon()
}
