package lifecycle

import (
	"context"

	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/reloads"
)

// Asked are the questions of other goroutines to the loop, which ask until the
// stage is gone.
type asked struct {
	reloads chan reloads.Request
	queries chan chan statusAnswer
	patient chan chan statusAnswer // queries that have waited for startingPatience
}

func newAsked() asked {
	return asked{make(chan reloads.Request), make(chan chan statusAnswer), make(chan chan statusAnswer)}
}

// Reload replaces this process as a reload signal does, and waits until that is
// done or ctx ends. Before Run it waits for Run as well. If a reload is under
// way, Reload waits for it and for another one, since the first may have
// started too early to see the change. All calls in that time share that second
// reload. In place, Reload returns nil when the drain starts: afterwards this
// program is gone.
//
// The error matches [ErrReload], and gives the reason, if the successor did not
// become ready; [ErrStopping] if the service is stopping, or has ended;
// errors.ErrUnsupported on systems other than Linux; and the error of ctx if it
// ended first, in which case a reload that has started goes on.
func (s *Service) Reload(ctx context.Context) error {
	_, err := s.reload(ctx, false)
	return err
}

func (s *Service) reload(ctx context.Context, dryRun bool) (handover.Outcome, error) {
	answer := make(chan handover.Outcome, 1)
	select {
	case s.asked.reloads <- reloads.Request{Answer: func(o handover.Outcome) { answer <- o }, DryRun: dryRun}:
	case <-s.stage.gone:
		return handover.Outcome{}, ErrStopping
	case <-ctx.Done():
		return handover.Outcome{}, ctx.Err()
	}
	select {
	case o := <-answer:
		return o, control.OutcomeError(o)
	case <-s.stage.gone:
		return handover.Outcome{}, ErrStopping
	case <-ctx.Done():
		return handover.Outcome{}, ctx.Err()
	}
}
