package lifecycle

import (
	"context"
	"fmt"

	"github.com/heirloom-go/heirloom/internal/callback"
)

// Go registers work to run in the background while this process is the main
// process of the service. It starts when Run has handed over to it, or has no
// predecessor, and lasts until the process drains. Then ctx is cancelled, with
// ErrReplaced or ErrStopping as its cause, and Run waits for work to return, as
// long as the drain may take. The next process may start its work of that name
// before this one returns.
//
// An error, or a panic, before the drain stops the service, and Run returns it.
// Nil only says that there is nothing more to do. The name appears in the
// status and in errors, and need not be unique.
func (s *Service) Go(name string, work func(ctx context.Context) error) error {
	return s.addJob(&callback.Job{Name: name, Worker: true, Run: work})
}

func (s *Service) addJob(j *callback.Job) error {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	if s.registered.closed {
		return fmt.Errorf("%s: %w", j.Name, ErrRunning)
	}
	s.registered.jobs = append(s.registered.jobs, j)
	return nil
}

// Draining is closed when this process starts to drain, because it was replaced
// or is to end. Use it to end long polls, server-sent events and hijacked
// connections, which might go on for ever. The client's next request or
// connection finds the next process, if there is one.
func (s *Service) Draining() <-chan struct{} { return s.stage.draining }

// LameDuck is closed when the service was told to stop and goes on for a while
// only because Options.LameDuck says so. Readiness then answers that the
// service is not ready. Use it to update other health endpoints, such as
// gRPC's. It is not closed on a reload or a restart: the next process serves in
// a moment.
func (s *Service) LameDuck() <-chan struct{} { return s.stage.lameDuck }

// Replaced reports whether this process drains because a successor has taken
// over, or is about to in place, rather than because it was told to stop. A
// restart by the service manager is a stop to this process.
func (s *Service) Replaced() bool { return s.stage.replaced.Load() }

// PredecessorsGone is closed when no older generation of the service is left:
// each has run its hooks (see Defer), or has died. Only then may this process
// take an exclusive resource such as a database file. Work that needs it waits
// until then, and so do its clients. Later generations wait in the same way.
// For a resource that an older generation gives up before it ends see
// [Service.Released].
//
// If no other process was alive when this one started, as after a restart or in
// place, it is closed from the start. With a predecessor it is closed after Run
// has started, while this process serves or drains. The predecessor does not
// end before this process is ready, so waiting before Run would be in vain.
func (s *Service) PredecessorsGone() <-chan struct{} { return s.inherited.Older.Gone() }

// Defer registers run to be called when everything that this process serves has
// ended, whatever the reason: servers, connections and workers are done, and
// the next thing is the return of Run. Hooks are called one after the other,
// the last deferred first. Each may take an equal share of the time that is
// left, and its ctx ends when the share does. A tenth of the drain is kept for
// hooks. Run does not wait for a hook that outlasts its share.
//
// Errors, and panics, are logged with name, and Run returns them. Hooks are not
// called when the service is told to end at once.
//
// Goroutines may call Defer at any time. A hook that is deferred while hooks
// run is not called.
func (s *Service) Defer(name string, run func(ctx context.Context) error) {
	s.registered.hooks.Add(name, run)
}
