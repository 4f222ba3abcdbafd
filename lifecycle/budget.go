package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/internal/manager"
	"github.com/heirloom-go/heirloom/internal/stopmargin"
)

const (
	// endless is how long a drain may take that has no limit: time.Duration holds not much more.
	endless = 100 * 365 * 24 * time.Hour
	// defaultTimeout is systemd's own (DefaultTimeoutStopSec= in systemd-system.conf(5)).
	defaultTimeout = 90 * time.Second
	// askTimeout bounds the question for the unit's TimeoutStopSec.
	askTimeout = time.Second
)

// A budget is the time that a drain may take: four moments, and where they come from.
type budget struct {
	began   time.Time
	finish  time.Time // requests, connections and jobs may take until then
	closing time.Time // what has not ended after it was cancelled is closed then
	hooks   time.Time // hooks may take until then
	end     time.Time // the process ends then, whatever it waits for
	timeout time.Duration
	source  string
}

// unitBudget keeps a margin of the unit's timeout. Of that, what is cancelled has a quarter to end, hooks and older generations
// have another. Half is for what shows nowhere here: systemd counts from the beginning of a turn of its event loop
// (sd_event_now), in which it may have much else to do before it sends the signal; a quarter of a second was seen.
func unitBudget(began time.Time, timeout, extension time.Duration, source string) budget {
	whole := min(timeout, endless-extension) + extension
	margin := stopmargin.Of(timeout)
	return budget{
		began:   began,
		finish:  began.Add(whole - margin),
		closing: began.Add(whole - margin*3/4),
		hooks:   began.Add(whole - margin*5/8),
		end:     began.Add(whole - margin/2),
		timeout: timeout,
		source:  source,
	}
}

// ownBudget is that of Options, or what an heir leaves: a fortieth more, which is within the margin of the heir's.
func ownBudget(began time.Time, timeout time.Duration, source string) budget {
	closing := began.Add(timeout + min(timeout/40, 500*time.Millisecond))
	return budget{
		began:   began,
		finish:  began.Add(timeout),
		closing: closing,
		hooks:   closing,
		end:     closing.Add(lastWords),
		timeout: timeout,
		source:  source,
	}
}

// withHooks keeps a tenth of the time for hooks, at least half a second, but never more than a quarter. They have all that is left
// when everything else ends earlier.
func (b budget) withHooks() budget {
	whole := b.hooks.Sub(b.began)
	reserve := max(whole/10, min(whole/4, 500*time.Millisecond))
	b.finish, b.closing = b.finish.Add(-reserve), b.closing.Add(-reserve)
	return b
}

// before returns the earlier of two budgets.
func (b budget) before(other budget) budget {
	if other.source == "" || b.end.Before(other.end) {
		return b
	}
	return other
}

// startBudget sets the deadlines of the drain that begins now. To ask for the unit's takes a millisecond or two, in which
// nothing waits.
func (m *machine) startBudget() {
	if !m.drainBegan.IsZero() {
		return
	}
	began := time.Now()
	m.drainBegan = began
	if d := m.options.DrainTimeout; d > 0 {
		m.setBudget(ownBudget(began, d, "Options.DrainTimeout"))
		return
	}
	m.workers.Go(func() {
		b := m.findBudget(began)
		select {
		case m.budgets <- b:
		case <-m.gone:
		}
	})
}

// findBudget asks for the unit's TimeoutStopSec each time: drop-ins and `systemctl daemon-reload` may have changed it.
func (m *machine) findBudget(began time.Time) budget {
	ctx, cancel := context.WithTimeout(m.alive, askTimeout)
	defer cancel()
	t, err := manager.StopTimeout(ctx)
	switch {
	case m.alive.Err() != nil: // nothing waits any more
		return budget{}
	case err == nil && t.Infinite:
		return unitBudget(began, endless, 0, string(t.Source))
	case err == nil:
		return unitBudget(began, t.Duration, m.options.StopExtension, string(t.Source))
	case errors.Is(err, manager.ErrNoUnit), errors.Is(err, errors.ErrUnsupported):
		return ownBudget(began, defaultTimeout, "default")
	default:
		m.log.Warn("cannot find out the unit's TimeoutStopSec", "error", err, "assumed", defaultTimeout)
		return unitBudget(began, defaultTimeout, m.options.StopExtension, "default")
	}
}

// setBudget sets the deadlines. They may come closer but not move away.
func (m *machine) setBudget(b budget) {
	if m.hasHooks() {
		b = b.withHooks()
	}
	known := m.budget.source != ""
	m.budget = b.before(m.budget)
	if !known {
		m.log.Info("drain deadline", "timeout", describe(b.timeout), "from", b.source, "requests", describe(b.finish.Sub(b.began)))
	}
	m.halfway.Reset(time.Until(m.budget.finish) / 2)
	m.armDeadline()
	m.tellAncestors()
}

func describe(timeout time.Duration) string {
	if timeout >= endless/2 {
		return "infinity"
	}
	return timeout.Round(time.Millisecond).String()
}

// armDeadline sets the timer to the end of the phase.
func (m *machine) armDeadline() {
	switch {
	case m.state == LameDuck:
		ends := m.since.Add(m.options.LameDuck)
		if half := m.drainBegan.Add(m.budget.finish.Sub(m.drainBegan) / 2); m.budget.source != "" && half.Before(ends) {
			ends = half
		}
		m.deadline.Reset(time.Until(ends))
	case m.budget.source == "":
	case m.phase == Finishing:
		m.deadline.Reset(time.Until(m.budget.finish))
	case m.phase == Cancelling:
		m.deadline.Reset(time.Until(m.budget.closing))
	case m.phase != "":
		m.deadline.Reset(time.Until(m.budget.end))
	}
}
