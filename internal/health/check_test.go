package health_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

func call(f func() error, done func(error)) { go func() { done(f()) }() }

// TestCheckIsShared asks while a check runs: it is not run a second time.
func TestCheckIsShared(t *testing.T) {
	leakcheck.Check(t)
	begun, verdict := make(chan struct{}, 2), make(chan error)
	c := health.New(func(context.Context) error {
		begun <- struct{}{}
		return <-verdict
	}, call)
	gone, cancel := context.WithCancelCause(context.Background())
	errGone := errors.New("gone")
	first := make(chan error, 1)
	go func() { first <- c.Ask(context.Background(), patience.Of(time.Minute)) }()
	<-begun
	cancel(errGone)
	if err := c.Ask(gone, patience.Of(time.Minute)); !errors.Is(err, errGone) {
		t.Errorf("who has gone gets %v", err)
	}
	dead := fmt.Errorf("no pulse: %w", health.ErrDead)
	verdict <- dead
	if err := <-first; !errors.Is(err, dead) {
		t.Errorf("who waits gets %v", err)
	}
	if err := <-c.Died(); !errors.Is(err, dead) {
		t.Errorf("died of %v", err)
	}
	if len(begun) > 0 {
		t.Error("the check ran twice")
	}
}

// TestNoCheck asks where there is none.
func TestNoCheck(t *testing.T) {
	if err := health.New(nil, call).Ask(context.Background(), 0); err != nil {
		t.Error(err)
	}
}
