package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrDead is matched by the error of a check that finds the process beyond
// help.
var ErrDead = errors.New("the service is dead")

// A Check runs a health check, once at a time: callers that ask while it runs
// share that run, so that a check that hangs costs one goroutine and no more.
// Goroutines may share it.
type Check struct {
	check func(context.Context) error // nil if there is none
	call  Call
	died  chan error // receives, with room for one, what matches ErrDead

	mu  sync.Mutex
	run *checkup // that goes on
}

// A Call calls f in a goroutine of its own, and then done there with its error,
// also if f panics.
type Call func(f func() error, done func(error))

type checkup struct {
	done chan struct{} // closed when err is set
	err  error

	began time.Time

	// These are guarded by the mu of the Check.
	limit    time.Duration // of the one who waits longest
	overtime *time.Timer   // ends the context of the check when it has taken so long
}

// New makes a Check of a function of the program, which is called by call. The
// function is nil if there is none to ask.
func New(check func(context.Context) error, call Call) *Check {
	return &Check{check: check, call: call, died: make(chan error, 1)}
}

// Died receives the error of a check that matches [ErrDead]. Who does not look
// misses all but the first.
func (c *Check) Died() <-chan error { return c.died }

// Ask returns the result of the check, or an error if it has none within limit
// or before ctx ended. It returns nil if there is no check.
func (c *Check) Ask(ctx context.Context, limit time.Duration) error {
	if c.check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLate(limit))
	defer cancel()
	run := c.begin(limit)
	select {
	case <-run.done:
		return run.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func errLate(limit time.Duration) error {
	return fmt.Errorf("the health check did not end within %v", limit)
}

// begin starts a run, unless one goes on. Its context is not that of the caller
// that asks first: others wait for it too, perhaps for longer. So a probe that
// waits for a second does not end the check that the watchdog waits for.
func (c *Check) begin(limit time.Duration) *checkup {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil {
		c.run.extend(limit)
		return c.run
	}
	run := &checkup{done: make(chan struct{}), began: time.Now(), limit: limit}
	ctx, cancel := context.WithCancelCause(context.Background())
	run.overtime = time.AfterFunc(limit, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		cancel(errLate(run.limit))
	})
	c.run = run
	c.call(func() error { return c.check(ctx) }, func(err error) {
		run.overtime.Stop()
		if late := context.Cause(ctx); late != nil && err != nil { // it may only say that its context has ended
			err = fmt.Errorf("%w: %w", late, err)
		}
		cancel(nil)
		c.finish(run, err)
	})
	return run
}

// extend gives the run the time of one more who waits, if that has more than
// the others, and theirs is not over. It counts from the beginning of the run:
// those who ask in turn would else never let one that hangs end.
func (r *checkup) extend(limit time.Duration) {
	if limit > r.limit && r.overtime.Stop() {
		r.limit = limit
		r.overtime.Reset(time.Until(r.began.Add(limit)))
	}
}

func (c *Check) finish(run *checkup, err error) {
	c.mu.Lock()
	c.run = nil
	c.mu.Unlock()
	run.err = err
	close(run.done)
	if errors.Is(err, ErrDead) {
		select {
		case c.died <- err:
		default:
		}
	}
}
