package callback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/profile"
)

// ErrLeftBehind is matched by the error of a hook that outlasted its share of
// the time.
var ErrLeftBehind = errors.New("it did not return within its share of the time, and was left behind")

// graceShare is the part of its share by which a hook may outlast that, and
// drainbudget.ExitGrace the least: it learns that its share is over by its
// context, and then has to return.
const graceShare = 10

// Hooks are functions that were deferred until everything else has ended, or
// that are called before if possible. Goroutines may share them. The zero value
// has none.
type Hooks struct {
	mu  sync.Mutex
	all []*hook
}

type hook struct {
	name  string
	run   func(ctx context.Context) error
	early bool
	begun atomic.Bool
	over  atomic.Bool // it is not waited for any more
}

// Add adds one. It is not called if Run has begun.
func (h *Hooks) Add(name string, run func(ctx context.Context) error) {
	h.add(&hook{name: name, run: run})
}

// AddEarly is Add for one that RunEarly may call.
func (h *Hooks) AddEarly(name string, run func(ctx context.Context) error) {
	h.add(&hook{name: name, run: run, early: true})
}

func (h *Hooks) add(added *hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, added)
}

// Any reports whether there are any.
func (h *Hooks) Any() bool { return len(h.list(false)) > 0 }

// AnyEarly reports whether there is one for RunEarly.
func (h *Hooks) AnyEarly() bool { return len(h.list(true)) > 0 }

// list returns them all, or the early ones.
func (h *Hooks) list(early bool) []*hook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.all), func(one *hook) bool { return early && !one.early })
}

// EarlyUnderWay returns the names of those that RunEarly has called and waits
// for.
func (h *Hooks) EarlyUnderWay() []string {
	var names []string
	for _, one := range h.list(true) {
		if one.begun.Load() && !one.over.Load() {
			names = append(names, one.name)
		}
	}
	return names
}

// Run calls them one after the other, the last first, and returns their errors.
// Each is called once, and may take an equal share of the time that is left
// until end. One that has not returned a little later is left behind, with an
// error that matches ErrLeftBehind, and the next is called beside it.
func (h *Hooks) Run(end time.Time, log hclog.Logger) error { return run(h.list(false), end, log) }

// RunEarly is Run for the early ones alone.
func (h *Hooks) RunEarly(end time.Time, log hclog.Logger) error { return run(h.list(true), end, log) }

func run(hooks []*hook, end time.Time, log hclog.Logger) error {
	var failed []error
	hooks = slices.DeleteFunc(hooks, func(h *hook) bool { return h.begun.Load() }) // they take no share
	for i, h := range slices.Backward(hooks) {
		if h.begun.Swap(true) { // by the other of Run and RunEarly, just now
			continue
		}
		if err := h.call(log, time.Until(end)/time.Duration(i+1)); err != nil {
			failed = append(failed, err)
		}
		h.over.Store(true)
	}
	return errors.Join(failed...)
}

func (h *hook) call(log hclog.Logger, share time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), share)
	defer cancel()
	began := time.Now()
	done := make(chan error, 1)
	Call(log, h.name, func() error { return h.run(ctx) }, func(err error) { done <- err })
	patience := time.NewTimer(max(share, 0) + max(share/graceShare, drainbudget.ExitGrace))
	defer patience.Stop()
	var err error
	select {
	case err = <-done:
	case <-patience.C:
		err = ErrLeftBehind
	}
	switch {
	case err == nil:
		log.Debug("hook", "name", h.name, "took", time.Since(began))
		return nil
	case errors.Is(err, ErrLeftBehind):
		log.Error("a hook does not return: leaving it behind", "name", h.name, "took", time.Since(began), "stacks", profile.Stacks())
	default:
		log.Error("a hook failed", "error", fmt.Errorf("%s: %w", h.name, err), "took", time.Since(began))
	}
	return fmt.Errorf("%s: %w", h.name, err)
}
