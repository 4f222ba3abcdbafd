package lifecycle

import "context"

// Defer registers run to be called when everything that this process serves has
// ended, whatever the reason: servers, connections and workers are done, and
// the next thing is the return of Run. Hooks are called one after the other,
// the last deferred first. Each may take an equal share of the time that is
// left, and its ctx ends when the share does. A tenth of the drain is kept for
// hooks. Run does not wait for a hook that outlasts its share by more than a
// tenth: it is left behind, the next one is called while it still runs, and the
// error of Run matches ErrDrainTimeout.
//
// Errors, and panics, are logged with name, and Run returns them. Hooks are not
// called when the service is told to end at once.
//
// Goroutines may call Defer at any time. A hook that is deferred while hooks
// run is not called.
func (s *Service) Defer(name string, run func(ctx context.Context) error) {
	s.registered.hooks.Add(name, run)
}
