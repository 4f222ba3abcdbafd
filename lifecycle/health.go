package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// ErrDead is to be matched by the error of an Options.Health that finds the process beyond help: a service manager is then told
// to kill and restart it at once, whether or not its unit has WatchdogSec=. Restart= must allow that (on-failure, on-abnormal,
// on-watchdog or always), and requests under way are lost.
var ErrDead = errors.New("the service is dead")

// livenessTimeout bounds a check that an HTTP request asks for.
const livenessTimeout = time.Second

// Readiness answers whether the service takes work: 200 and "ready" while it serves, be it during a reload, and 503 and its
// state otherwise, which is starting, lame duck, draining or gone. It is for a load balancer, or a readinessProbe of
// Kubernetes, and belongs into the mux of a server of this Service, as /readyz by custom.
//
// It speaks of the service: a process that was replaced says ready as long as it answers, since its successor is. One that is
// to be replaced in place does not, since nobody takes new work meanwhile.
func (s *Service) Readiness() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		state := Starting
		if shown := s.shown.Load(); shown != nil {
			state = *shown
		}
		if state == Ready || state == Reloading {
			answerProbe(w, http.StatusOK, string(Ready))
			return
		}
		answerProbe(w, http.StatusServiceUnavailable, string(state))
	})
}

// Liveness answers whether the process is well: 200 and "alive" while Options.Health passes, and 503 and its error otherwise, also
// when the check takes more than a second or than the request has. It is for a livenessProbe of Kubernetes, and belongs into
// the mux of a server of this Service, as /livez by custom; not of one that strangers may ask, unless they may read the error.
//
// Requests that come while the check runs wait for that very run.
func (s *Service) Liveness() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.health.ask(r.Context(), livenessTimeout); err != nil {
			answerProbe(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answerProbe(w, http.StatusOK, "alive")
	})
}

func answerProbe(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that has gone is not waited for
}

// A health runs Options.Health, once at a time: whoever asks meanwhile shares that run, so that a check that hangs costs one
// goroutine and no more.
type health struct {
	check func(context.Context) error // nil if there is none
	died  chan error                  // receives, with room for one, what matches ErrDead

	mu  sync.Mutex
	run *checkup // that goes on
}

type checkup struct {
	done chan struct{} // closed when err is set
	err  error
}

func newHealth(check func(context.Context) error) *health {
	return &health{check: check, died: make(chan error, 1)}
}

// ask returns what the check says, or that it has not said it within limit or before ctx ended.
func (h *health) ask(ctx context.Context, limit time.Duration) error {
	if h.check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the health check did not end within %v", limit))
	defer cancel()
	run := h.begin(limit)
	select {
	case <-run.done:
		return run.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin starts a run, unless one goes on. Its context is not that of whoever asks first: others wait for it too.
func (h *health) begin(limit time.Duration) *checkup {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run == nil {
		h.run = &checkup{done: make(chan struct{})}
		go h.finish(h.run, limit)
	}
	return h.run
}

func (h *health) finish(run *checkup, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := protect(ctx, h.check)
	h.mu.Lock()
	h.run = nil
	h.mu.Unlock()
	run.err = err
	close(run.done)
	if errors.Is(err, ErrDead) {
		select {
		case h.died <- err:
		default:
		}
	}
}

// checkBeforeReady spares a predecessor, which serves on, a successor that is not well. Where there is none the check would only keep
// a service from starting that might yet recover.
func (s *Service) checkBeforeReady(ctx context.Context) error {
	if s.ancestor == nil {
		return nil
	}
	if err := s.health.ask(ctx, s.options.ReloadTimeout/2); err != nil {
		return s.Fail(fmt.Errorf("health check: %w", err))
	}
	return nil
}
