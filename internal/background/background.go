// Package background runs the work that the loop of a service has others do,
// since it waits for nobody itself.
//
// What has happened comes back to the loop as an event: a function that the
// loop calls. All that runs here ends before the service does, or is left
// behind if it hangs in a function of the program.
package background

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/profile"
)

// A Background is that of one loop. Goroutines may share it.
type Background struct {
	// Alive ends when what runs here is to end.
	Alive context.Context

	die     context.CancelFunc
	over    <-chan struct{}
	events  chan func()
	running sync.WaitGroup
	log     hclog.Logger
}

// New makes the Background of a loop, which has ended when over is closed.
func New(over <-chan struct{}, log hclog.Logger) *Background {
	b := &Background{over: over, events: make(chan func()), log: log}
	b.Alive, b.die = context.WithCancel(context.Background())
	return b
}

// Events has the functions that the loop is to call, in no order.
func (b *Background) Events() <-chan func() { return b.events }

// Post has the loop call happened. It waits until the loop does so, or has
// ended; the loop itself must not call it.
func (b *Background) Post(happened func()) {
	select {
	case b.events <- happened:
	case <-b.over:
	}
}

// Go runs f in a goroutine of its own.
func (b *Background) Go(f func()) { b.running.Go(f) }

// Aside runs f, until Alive ends, and has the loop call the function that f
// returns.
func (b *Background) Aside(f func(alive context.Context) (happened func())) {
	b.Go(func() { b.Post(f(b.Alive)) })
}

// Call runs f, which is a function of the program or calls one, and has the
// loop call ended with its error: see callback.Call.
func (b *Background) Call(what string, f func() error, ended func(error)) {
	b.running.Add(1)
	callback.Call(b.log, what, f, func(err error) {
		defer b.running.Done()
		b.Post(func() { ended(err) })
	})
}

// Close closes a listener or connection: see callback.Close.
func (b *Background) Close(c io.Closer) {
	b.running.Add(1)
	callback.Close(b.log, c, b.running.Done)
}

// Die has all that runs here end.
func (b *Background) Die() { b.die() }

// Await waits within limit for all that runs here. What then still runs hangs
// in a function of the program, and is left.
func (b *Background) Await(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		b.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		b.log.Error("leaving behind what does not return", "stacks", profile.Stacks())
	}
}
