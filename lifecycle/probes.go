package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/health"
)

// Readiness answers whether the service takes work: 200 and "ready" while it
// serves, be it during a reload, and 503 and its state otherwise, which is
// starting, lame duck, draining or gone. It is for a load balancer, or a
// readinessProbe of Kubernetes, and belongs into the mux of a server of this
// Service, as /readyz by custom.
//
// It speaks of the service: a successor says ready from its first answer on, and
// a process that was replaced as long as it answers, since its successor is.
// One that is to be replaced in place does not, since no process takes new work
// until the program is replaced.
func (s *Service) Readiness() http.Handler {
	return health.Probe(func(*http.Request) (well bool, text string) {
		state := Starting
		if shown := s.stage.shown.Load(); shown != nil {
			state = *shown
		}
		if state == Ready || state == Reloading {
			return true, string(Ready)
		}
		return false, string(state)
	})
}

// Liveness answers whether the process is well: 200 and "alive" while
// Options.Health passes, and 503 and its error otherwise, also when the check
// takes more than a second or than the request has. It is for a livenessProbe
// of Kubernetes, and belongs into the mux of a server of this Service, as
// /livez by custom; not of one that strangers may ask, unless they may read the
// error.
//
// Requests that come while the check runs wait for that very run.
func (s *Service) Liveness() http.Handler {
	return health.Probe(func(r *http.Request) (well bool, text string) {
		if err := s.health.Ask(r.Context(), livenessTimeout); err != nil {
			return false, err.Error()
		}
		return true, "alive"
	})
}

// livenessTimeout bounds a check that an HTTP request asks for.
const livenessTimeout = time.Second

// checkBeforeReady fails a reload whose successor is not well: the predecessor
// serves on. Without a predecessor the check would only keep a service from
// starting that might yet recover.
func (s *Service) checkBeforeReady(ctx context.Context) error {
	if s.inherited.Predecessor == nil {
		return nil
	}
	if err := s.health.Ask(ctx, s.options.ReloadTimeout/2); err != nil {
		return s.Fail(fmt.Errorf("health check: %w", err))
	}
	return nil
}
