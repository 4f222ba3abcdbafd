// Package show draws what clients met while a service was replaced again and
// again: a picture in text, and a display that lives while they ask.
package show

import (
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// An Act is what happened to one service that was replaced in one way.
type Act struct {
	Name, About string
	// Verb is how the service was replaced, such as reload: a word that has a
	// plural in s.
	Verb string

	report   loadtest.Report
	began    time.Time
	replaced []replacement
	mu       sync.Mutex // guards answers until Close
	answers  []answer
}

// An answer is a request that came to its end. Times count from the beginning
// of the act.
type answer struct {
	at, took   time.Duration
	generation int  // 0 if broken
	slow       bool // asked for late
	broken     int  // requests; 0 for a right answer
}

// A replacement begins with the command, and ends with the first answer of the
// generation that it brings.
type replacement struct {
	generation   int
	began, ended time.Duration
}

// NewAct begins an act now.
func NewAct(name, about, verb string) *Act {
	const room = 1 << 18 // more than a second's worth of copying at once would show in the latency
	return &Act{Name: name, About: about, Verb: verb, began: time.Now(), answers: make([]answer, 0, room)}
}

// Observe is for loadtest.Target. Requests of class Slow are none of those
// whose latency is shown.
func (a *Act) Observe(o loadtest.Observation) {
	seen := answer{
		at:         o.At.Sub(a.began),
		took:       o.Took,
		generation: o.Generation,
		slow:       o.Class == loadtest.Slow,
		broken:     o.Broken,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = append(a.answers, seen)
}

// Replace says that the service is now told to make way for a generation.
func (a *Act) Replace(generation int) {
	a.replaced = append(a.replaced, replacement{generation: generation, began: time.Since(a.began)})
}

// Close ends the act, after the last call of Observe. It finds out when the
// replacements ended, and drops one that did not.
func (a *Act) Close(report loadtest.Report) {
	a.report = report
	first := map[int]time.Duration{}
	for _, answer := range a.answers {
		if at, ok := first[answer.generation]; !ok || answer.at < at {
			first[answer.generation] = answer.at
		}
	}
	var ended []replacement
	for _, r := range a.replaced {
		if at, ok := first[r.generation]; ok {
			r.ended = at
			ended = append(ended, r)
		}
	}
	a.replaced = ended
}

// Report is what Close was given.
func (a *Act) Report() loadtest.Report { return a.report }
