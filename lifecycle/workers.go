package lifecycle

import (
	"context"

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
	if err := s.registered.lock("%s", j.Name); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	s.registered.jobs = append(s.registered.jobs, j)
	return nil
}
