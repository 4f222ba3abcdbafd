// Package drain knows how far the drain of this process is, and how long each
// of its phases may take. It alone does; it counts neither connections nor
// jobs.
//
// [Find] asks the service manager for the time, which package drainbudget
// divides. What the loop does when the time of a phase is over is
// supervisor.onDeadline, in lifecycle/draining.go.
package drain

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
)

// A Phase is how far a drain is.
type Phase string

// The phases of a drain, in their order.
const (
	Finishing  Phase = "finishing"  // requests, connections and jobs end at their leisure
	Cancelling Phase = "cancelling" // the time is over: contexts are cancelled
	Closing    Phase = "closing"    // the connections that are left are closed
	Hooks      Phase = "hooks"      // everything has ended: the functions of Defer run
)

// A Drain is that of one process. It belongs to the loop.
//
// Its time may begin before its first phase does: when a reload is called off,
// or in a lame duck.
type Drain struct {
	Cut       bool // connections and jobs were closed, and are not waited for
	HooksDone bool
	Released  bool // what may be given up early is, or is about to be
	// Found receives the budget that Find has found.
	Found chan drainbudget.Budget
	// Deadline is the timer of the phase, or of what comes before.
	Deadline *time.Timer

	phase  Phase     // "" before it begins
	began  time.Time // zero before its time begins
	budget drainbudget.Budget
}

// New makes a Drain that has not begun.
func New() *Drain {
	d := &Drain{Found: make(chan drainbudget.Budget), Deadline: time.NewTimer(drainbudget.NoLimit)}
	d.Deadline.Stop()
	return d
}

// Phase returns how far it is, "" if it has not begun.
func (d *Drain) Phase() Phase { return d.phase }

// Began returns when its time began, zero if it has not.
func (d *Drain) Began() time.Time { return d.began }

// Begin has the time begin, and reports whether it had not yet.
func (d *Drain) Begin() bool {
	if !d.began.IsZero() {
		return false
	}
	d.began = time.Now()
	return true
}

// Forget takes the time back: it begins once more.
func (d *Drain) Forget() { d.began, d.budget = time.Time{}, drainbudget.Budget{} }

// IsOf reports whether a budget that was found is of this time, and not of one
// that was taken back.
func (d *Drain) IsOf(b drainbudget.Budget) bool { return b.Began.Equal(d.began) }

// Limit sets the deadlines, which may come closer but not move away. It reports
// whether there were none.
func (d *Drain) Limit(b drainbudget.Budget) (first bool) {
	first = !d.budget.Known()
	d.budget = b.Before(d.budget)
	return first
}

// Enter begins a phase.
func (d *Drain) Enter(p Phase) {
	d.phase = p
	d.Arm()
}

// Arm sets the timer to the end of the phase, once that is known.
func (d *Drain) Arm() {
	switch {
	case d.phase == "" || !d.budget.Known():
	case d.phase == Finishing:
		d.armAt(d.budget.Finish)
	case d.phase == Cancelling:
		d.armAt(d.budget.Closing)
	default:
		d.armAt(d.budget.End)
	}
}

// ArmLameDuck sets the timer to the end of the lame duck that began at since.
// It takes at most half of the time.
func (d *Drain) ArmLameDuck(since time.Time, lasts time.Duration) {
	ends := since.Add(lasts)
	if half := d.began.Add(d.budget.Finish.Sub(d.began) / 2); d.budget.Known() && half.Before(ends) {
		ends = half
	}
	d.armAt(ends)
}

// ArmFinish sets the timer to when work is cancelled, before any phase.
func (d *Drain) ArmFinish() {
	if d.budget.Known() {
		d.armAt(d.budget.Finish)
	}
}

func (d *Drain) armAt(t time.Time) { d.ArmIn(time.Until(t)) }

// ArmIn sets the timer.
func (d *Drain) ArmIn(left time.Duration) { d.Deadline.Reset(left) }

// IsOver reports whether it is too late for connections to move.
func (d *Drain) IsOver() bool { return d.phase == Cancelling || d.Cut }

// Left returns how long requests may still take, drainbudget.NoLimit if that is
// not known.
func (d *Drain) Left() time.Duration {
	if !d.budget.Known() {
		return drainbudget.NoLimit
	}
	return max(time.Until(d.budget.Finish), 0)
}

// Ends returns when requests are cancelled, zero if that is not known.
func (d *Drain) Ends() time.Time { return d.budget.Finish }

// Known reports whether the deadlines are known.
func (d *Drain) Known() bool { return d.budget.Known() }

// HooksEnd returns by when hooks must have returned, zero if that is not known.
func (d *Drain) HooksEnd() time.Time { return d.budget.Hooks }

// ExitBy returns when the process ends, whatever it waits for. Where everything
// ended before that was known it is what it would be by default.
func (d *Drain) ExitBy() time.Time {
	if !d.budget.Known() {
		return d.began.Add(defaultTimeout)
	}
	return d.budget.End
}

// Within returns limit or, if the process is known to end before that, the time
// until then.
func (d *Drain) Within(limit time.Duration) time.Duration {
	if d.budget.Known() {
		limit = min(limit, time.Until(d.budget.End))
	}
	return limit
}

// Timeout returns where the time comes from, "" if that is not known yet, and
// how much it is; limited is false if there is no limit.
func (d *Drain) Timeout() (source string, timeout time.Duration, limited bool) {
	return d.budget.Source, d.budget.Timeout, d.budget.Timeout < drainbudget.NoLimit
}
