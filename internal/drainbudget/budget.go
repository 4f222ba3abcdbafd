// Package drainbudget divides the time that a drain may take: how long requests
// have, when the rest is cancelled and closed, how long hooks have, and
// when the process ends whatever it waits for.
//
// It only calculates. The library finds out how long the drain may take and
// sets the timers; the linter of unit files reckons with the same margin.
package drainbudget

import "time"

const (
	// NoLimit is how long a drain may take that has no limit: time.Duration
	// holds not much more.
	NoLimit = 100 * 365 * 24 * time.Hour
	// ExitGrace is how long older generations may take to end, once they were
	// told to, and hooks beyond their time, where it is not the unit's timeout
	// that says so.
	ExitGrace = 100 * time.Millisecond
)

// A Budget is the time that a drain may take: four moments, and where they come
// from. The zero Budget is one that is not known yet.
type Budget struct {
	Began   time.Time
	Finish  time.Time // requests, connections and jobs may take until then
	Closing time.Time // connections that have not ended after they were cancelled are closed then
	Hooks   time.Time // hooks may take until then
	End     time.Time // the process ends then, whatever it waits for
	Timeout time.Duration
	Source  string // who set the timeout, for people
}

// OfUnit keeps a [Margin] of the unit's timeout, which extension prolongs. Of
// that margin, what is cancelled has a quarter to end, hooks and older
// generations have another. Half is for what shows nowhere here: systemd counts
// from the beginning of a turn of its event loop (sd_event_now), in which it
// may have much else to do before it sends the signal; a quarter of a second
// was seen.
func OfUnit(began time.Time, timeout, extension time.Duration, source string) Budget {
	whole := min(timeout, NoLimit-extension) + extension
	margin := Margin(timeout)
	return Budget{
		Began:   began,
		Finish:  began.Add(whole - margin),
		Closing: began.Add(whole - margin*3/4),
		Hooks:   began.Add(whole - margin*5/8),
		End:     began.Add(whole - margin/2),
		Timeout: timeout,
		Source:  source,
	}
}

// Own is the budget of a timeout that is all for the requests: the program's
// own, or what a successor leaves. A fortieth more, which is within the margin
// of the successor's, is for closing.
func Own(began time.Time, timeout time.Duration, source string) Budget {
	closing := began.Add(timeout + min(timeout/40, 500*time.Millisecond))
	return Budget{
		Began:   began,
		Finish:  began.Add(timeout),
		Closing: closing,
		Hooks:   closing,
		End:     closing.Add(ExitGrace),
		Timeout: timeout,
		Source:  source,
	}
}

// Known reports whether b is a budget at all.
func (b Budget) Known() bool { return b.Source != "" }

// WithHooks keeps a tenth of the time for hooks, at least half a second, but
// never more than a quarter. They have all that is left when everything else
// ends earlier.
func (b Budget) WithHooks() Budget {
	whole := b.Hooks.Sub(b.Began)
	reserve := max(whole/10, min(whole/4, 500*time.Millisecond))
	b.Finish, b.Closing = b.Finish.Add(-reserve), b.Closing.Add(-reserve)
	return b
}

// Before returns the earlier of two budgets.
func (b Budget) Before(other Budget) Budget {
	if !other.Known() || b.End.Before(other.End) {
		return b
	}
	return other
}

// Describe writes a timeout for people, "infinity" where there is no limit.
func Describe(timeout time.Duration) string {
	if timeout >= NoLimit/2 {
		return "infinity"
	}
	return timeout.Round(time.Millisecond).String()
}
