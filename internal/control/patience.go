package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// Patience says how long a [Client] waits.
type Patience struct {
	// Answer is how long a service may take to say where it stands, 10 seconds
	// if it is 0. A service does so within a second, on its worst day.
	Answer time.Duration
	// Probe is how long a reload may take before it is looked whether the
	// service is still there, and how often that is done: 2 seconds if it is 0.
	Probe time.Duration
	// InPlace is how long a program that replaced another in place may take
	// until it answers. Such a program cannot say that it is not dead.
	InPlace time.Duration
}

func (p Patience) answer() time.Duration {
	if p.Answer == 0 {
		return 10 * time.Second
	}
	return p.Answer
}

func (p Patience) probe() time.Duration {
	if p.Probe == 0 {
		return 2 * time.Second
	}
	return p.Probe
}

// withLimit returns a context with an end that says what it means.
func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w within %v: it hangs, or was stopped", ErrUnresponsive, limit))
}

// askReload asks for a reload, which takes as long as it takes. Meanwhile the
// service is asked where it stands, and given up when it does not answer that.
// Any version of it can.
func (c *Client) askReload(ctx context.Context, path string) (o handover.Outcome, err error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	var probes sync.WaitGroup
	probes.Go(func() { giveUp(c.probe(ctx)) })
	err = c.ask(ctx, http.MethodPost, path, &o)
	giveUp(nil)
	probes.Wait()
	return o, err
}

// probe returns when a service does not answer, or ctx ends.
func (c *Client) probe(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.Patience.probe()):
		}
		var s standing
		// That it refuses, or is gone, the request itself learns as well.
		if err := c.Status(ctx, &s); errors.Is(err, ErrUnresponsive) {
			return err
		}
	}
}
