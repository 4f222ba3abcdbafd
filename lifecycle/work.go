package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrReplaced is the cause of the context of a worker that is to end because another process takes its place.
var ErrReplaced = errors.New("the service goes on in another process")

// Go has work run in the background while this process is the main one of the service: from when Run has handed over to it,
// or has no predecessor, until it drains. Then ctx is cancelled, with ErrReplaced or ErrStopping as its cause, and Run waits
// for work to return, as long as the drain may take. The next process's work of that name may begin before.
//
// An error, or a panic, before that stops the service, and Run returns it; nil only says that there is nothing more to do. The
// name is for people, in the status and in errors, and need not be unique.
func (s *Service) Go(name string, work func(ctx context.Context) error) error {
	return s.addJob(&job{name: name, worker: true, run: work})
}

func (s *Service) addJob(j *job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return fmt.Errorf("%s: %w", j.name, ErrRunning)
	}
	s.jobs = append(s.jobs, j)
	return nil
}

// Leaving is closed when this process begins to drain: because it was replaced, or is to end. Long polls, server-sent events and
// hijacked connections, which might go on for ever, should be brought to an end then; the client's next request or connection
// finds the next process, if there is one.
func (s *Service) Leaving() <-chan struct{} { return s.leaving }

// LameDuck is closed when the service, told to stop, goes on for a while only because Options.LameDuck says so, and Readiness
// denies it. It is for whoever tells load balancers in other ways, such as gRPC's health service. It is never closed at another
// end: on a reload and on a restart the next process serves in a moment.
func (s *Service) LameDuck() <-chan struct{} { return s.lame }

// Replaced reports whether this process drains because a successor has taken over, or is about to in place, rather than
// because it was told to stop. A restart by the service manager is a stop to this process.
func (s *Service) Replaced() bool { return s.replaced.Load() }

// A hook was deferred.
type hook struct {
	name string
	run  func(ctx context.Context) error
}

// Defer has run called when all that this process serves has ended, whatever the reason: servers, connections and workers
// are done, and the next thing is the return of Run. Hooks are called one after the other, the last deferred first. Each may
// take an equal share of the time that is left, at the end of which ctx does; of what the drain may take a tenth is kept
// for hooks. One that does not return then is left behind, and Run returns.
//
// Errors, and panics, are logged with name, and Run returns them. Hooks are not called when the service is told to end at once.
//
// Goroutines may call Defer at any time; a hook deferred when hooks run already is not called.
func (s *Service) Defer(name string, run func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook{name, run})
}

func (s *Service) hasHooks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hooks) > 0
}

// runHooks calls the hooks in another goroutine, which is left behind if one hangs.
func (m *machine) runHooks() {
	m.mu.Lock()
	hooks := m.hooks
	m.mu.Unlock()
	end := m.budget.hooks
	if m.budget.source == "" { // everything ended before it was known how long that may take
		end = m.drainBegan.Add(defaultTimeout)
	}
	go func() {
		var failed []error
		for i := len(hooks) - 1; i >= 0; i-- {
			if err := m.runHook(hooks[i], time.Until(end)/time.Duration(i+1)); err != nil {
				failed = append(failed, err)
			}
		}
		select {
		case m.hooked <- errors.Join(failed...):
		case <-m.gone:
		}
	}()
}

func (s *Service) runHook(h hook, share time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), share)
	defer cancel()
	began := time.Now()
	err := protect(ctx, h.run)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.name, err)
		s.log.Error("a hook failed", "error", err, "took", time.Since(began))
		return err
	}
	s.log.Debug("hook", "name", h.name, "took", time.Since(began))
	return nil
}

func (m *machine) onHooked(err error) {
	m.err = errors.Join(m.err, err)
	m.hooksDone = true
}
