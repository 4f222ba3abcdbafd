package successor

import (
	"context"
	"fmt"
	"time"
)

// A Startup is a reload under way: a successor from its start until it serves,
// or is given up.
type Startup struct {
	Started time.Time
	Result  chan Result // receives one

	cancel context.CancelFunc
}

// A Result is how a Startup ended.
type Result struct {
	Successor *Successor // nil if there is an error, or after a dry run
	Err       error
}

// Begin has start start a successor, and leaves it to a goroutine to wait until
// it serves, or could. ctx ends after timeout.
func Begin(timeout time.Duration, start func(ctx context.Context) (*Successor, error)) *Startup {
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout, fmt.Errorf("the successor was not ready within %v", timeout))
	s := &Startup{Started: time.Now(), cancel: cancel, Result: make(chan Result, 1)}
	go func() {
		defer cancel()
		h, err := start(ctx)
		s.Result <- Result{h, err}
	}()
	return s
}

// Cancel calls the startup off. There is a Result all the same, and it may be
// too late.
func (s *Startup) Cancel() { s.cancel() }

// Abandon goes on without the Result, for which nobody waits any more. Should a
// successor serve in the end, it is told to stop.
func (s *Startup) Abandon() {
	go func() {
		if r := <-s.Result; r.Successor != nil {
			r.Successor.Dismiss()
		}
	}()
}
