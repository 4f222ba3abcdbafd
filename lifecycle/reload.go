package lifecycle

import (
	"context"
	"os"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/reloads"
)

// Asked are the questions of other goroutines to the loop, which ask until the
// stage is gone.
type asked struct {
	reloads chan reloads.Request
	queries chan chan statusAnswer
}

// A statusAnswer is what the owner of the state knows, and whom to ask for the
// rest.
type statusAnswer struct {
	status       Status
	predecessors []*predecessor.Predecessor
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

// Status asks the running service, and the predecessors that still drain, where
// they stand; it waits for them up to half a second. Before Run the state is
// Starting and after it Gone, and nothing is counted. The error is that of ctx.
func (s *Service) Status(ctx context.Context) (Status, error) {
	if !s.isRunning() {
		return s.identity(Starting), nil
	}
	query := make(chan statusAnswer, 1)
	select {
	case s.asked.queries <- query:
	case <-s.stage.gone:
		return s.identity(Gone), nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	answer := <-query
	answer.status.Predecessors = reports(ctx, answer.predecessors)
	return answer.status, nil
}

// identity is the part of the status that does not change.
func (s *Service) identity(state State) Status {
	return Status{
		Name:         s.options.Name,
		PID:          os.Getpid(),
		Generation:   s.inherited.Generation,
		Version:      s.options.Version,
		State:        state,
		Predecessors: []Predecessor{},
	}
}

// reports asks all predecessors at once. One that ends meanwhile is left out.
func reports(ctx context.Context, older []*predecessor.Predecessor) []Predecessor {
	predecessors := []Predecessor{}
	for _, a := range predecessor.Ask(ctx, older) {
		predecessors = append(predecessors, Predecessor{
			PID:         a.PID,
			Generation:  a.Generation,
			Since:       a.Since,
			Connections: Connections(conntrack.CountsOf(a.Connections)),
			Requests:    a.Requests,
			Jobs:        a.Jobs,
			Ends:        a.Ends,
			Error:       a.Missing,
		})
	}
	return predecessors
}
