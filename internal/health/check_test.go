package health_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

// TestCheckLasts has some ask who have less time than others, and come first or
// later: the check ends when the most patient has no time left.
func TestCheckLasts(t *testing.T) {
	for name, limits := range map[string][]time.Duration{
		"the impatient first": {time.Second, 15 * time.Second},
		"the patient first":   {15 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				c := health.New(func(ctx context.Context) error {
					<-ctx.Done()
					ended = time.Now()
					return ctx.Err()
				}, call)
				began := time.Now()
				var asking sync.WaitGroup
				for _, limit := range limits {
					asking.Go(func() {
						err := c.Ask(t.Context(), limit)
						if want := "the health check did not end within " + limit.String(); err == nil || !strings.HasPrefix(err.Error(), want) {
							t.Errorf("got %v, want %s", err, want)
						}
						if took := time.Since(began); took != limit {
							t.Errorf("waited for %v, want %v", took, limit)
						}
					})
					synctest.Wait()
				}
				asking.Wait()
				synctest.Wait()
				if took := ended.Sub(began); took != 15*time.Second {
					t.Errorf("the check ended after %v, want the time of the patient", took)
				}
			})
		})
	}
}

// TestCheckEnds has a check hang while others ask again and again: its context
// ends all the same, when it has taken as long as the most patient of them waits.
func TestCheckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration)
		c := health.New(func(ctx context.Context) error {
			began := time.Now()
			<-ctx.Done()
			select {
			case ended <- time.Since(began):
			default: // that of a later check
			}
			return ctx.Err()
		}, call)
		began, over := time.Now(), time.After(time.Minute)
		var asking sync.WaitGroup
		ask := func(first, limit time.Duration) {
			time.Sleep(first)
			for time.Since(began) < time.Minute {
				_ = c.Ask(t.Context(), limit)
			}
		}
		asking.Go(func() { ask(0, time.Second) })
		asking.Go(func() { ask(500*time.Millisecond, time.Second) })
		asking.Go(func() { ask(700*time.Millisecond, 5*time.Second) })
		asking.Go(func() { ask(3*time.Second, 5*time.Second) })
		select {
		case took := <-ended:
			if took != 5*time.Second {
				t.Errorf("the context ended after %v, want the time of the patient", took)
			}
		case <-over:
			t.Error("the context of a check that hangs does not end")
		}
		asking.Wait()
	})
}

// TestCheckOutOfTime has who comes when the time of a check is over, and it has
// not returned, get its error, which says so.
func TestCheckOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := health.New(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			return ctx.Err()
		}, call)
		first := c.Ask(t.Context(), 3*time.Second)
		second := c.Ask(t.Context(), time.Hour)
		for _, err := range []error{first, second} {
			if err == nil || !strings.HasPrefix(err.Error(), "the health check did not end within 3s") {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestNoCheck asks where there is none.
func TestNoCheck(t *testing.T) {
	if err := health.New(nil, call).Ask(context.Background(), 0); err != nil {
		t.Error(err)
	}
}
