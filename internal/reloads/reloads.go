// Package reloads has the reloads of a service that were asked for and are not
// done: who asked, and the outcome that each is told.
//
// One reload answers all who asked before it began. Those who ask while it is
// under way share the next one, since it may have started too early to see what
// they have changed. Once another process is the main one, it is asked instead.
package reloads

import (
	"slices"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/printable"
)

// A Request asks for a reload.
type Request struct {
	// Answer is called once, by the loop. It may be nil, and does not wait.
	Answer func(handover.Outcome)
	DryRun bool
	// FromPredecessor says that an older generation has passed the request on.
	FromPredecessor bool
}

// Requests are some of them.
type Requests []Request

// AreDryRuns reports whether nothing is to be replaced for any of them.
func (r Requests) AreDryRuns() bool {
	return !slices.ContainsFunc(r, func(one Request) bool { return !one.DryRun })
}

// Answer tells each of them the outcome.
func (r Requests) Answer(o handover.Outcome) {
	for _, one := range r {
		if one.Answer != nil {
			one.Answer(o)
		}
	}
}

// split tells those that were forwarded from the others.
func (r Requests) split() (forwarded, own Requests) {
	for _, one := range r {
		if one.FromPredecessor {
			forwarded = append(forwarded, one)
		} else {
			own = append(own, one)
		}
	}
	return forwarded, own
}

// Reloads belong to the loop. The zero value has none.
type Reloads struct {
	Last *handover.Outcome // nil if there was none

	waiting   Requests   // for the reload that is under way
	joined    Requests   // for one after it
	forwarded []Requests // to the successor, by message
}

// Join adds a request for the next reload.
func (r *Reloads) Join(one Request) { r.joined = append(r.joined, one) }

// AreAsked reports whether there is to be another reload.
func (r *Reloads) AreAsked() bool { return len(r.joined) > 0 }

// Begin begins a reload for all who have asked, and reports whether it is a dry
// run.
func (r *Reloads) Begin() (dryRun bool) {
	r.waiting, r.joined = r.joined, nil
	return r.waiting.AreDryRuns()
}

// IsDryRun reports whether the reload that is under way is a dry run.
func (r *Reloads) IsDryRun() bool { return r.waiting.AreDryRuns() }

// End answers those who wait for the reload that is under way.
func (r *Reloads) End(o handover.Outcome) { r.Take().Answer(o) }

// Take ends the reload that is under way, and returns those who wait for it.
// They have to be answered.
func (r *Reloads) Take() Requests {
	waiting := r.waiting
	r.waiting = nil
	return waiting
}

// EndFromPredecessors is End for those that an older generation has passed on,
// as long as this process can still tell them.
func (r *Reloads) EndFromPredecessors(o handover.Outcome) {
	var forwarded Requests
	forwarded, r.waiting = r.waiting.split()
	forwarded.Answer(o)
}

// EndAll answers all who wait, for this reload or the next.
func (r *Reloads) EndAll(o handover.Outcome) {
	r.End(o)
	joined := r.joined
	r.joined = nil
	joined.Answer(o)
}

// Leave returns those who wait for the next reload, which is the successor's.
// Of them, those that an older generation has passed on ask the successor again
// when it tells them of itself.
func (r *Reloads) Leave() Requests {
	_, own := r.joined.split()
	r.joined = nil
	return own
}

// Forwarded notes that the successor was asked on behalf of requests.
func (r *Reloads) Forwarded(requests Requests) { r.forwarded = append(r.forwarded, requests) }

// Answered gives the answer of the successor to those for whom it was asked
// first.
func (r *Reloads) Answered(o handover.Outcome) {
	if len(r.forwarded) == 0 {
		return
	}
	first := r.forwarded[0]
	r.forwarded = r.forwarded[1:]
	first.Answer(Printable(o))
}

// TakeForwarded removes and returns all that the successor has not answered.
func (r *Reloads) TakeForwarded() Requests {
	all := slices.Concat(r.forwarded...)
	r.forwarded = nil
	return all
}

// ReadyText is the status of a service that serves, with the reason why the
// last reload failed if it did.
func (r *Reloads) ReadyText() string {
	if r.Last == nil || r.Last.Reason == "" {
		return "ready"
	}
	what := "reload"
	if r.Last.DryRun {
		what = "dry run"
	}
	return "ready; the last " + what + " failed: " + r.Last.Reason
}

// Printable is o with a reason that can be shown.
func Printable(o handover.Outcome) handover.Outcome {
	o.Reason = printable.Text(o.Reason)
	return o
}

// Failed is o with a reason. An empty one would stand for success.
func Failed(o handover.Outcome) handover.Outcome {
	o = Printable(o)
	if o.Reason == "" {
		o.Reason = "no reason was given"
	}
	return o
}
