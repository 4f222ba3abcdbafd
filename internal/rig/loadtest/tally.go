package loadtest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// keptErrors is how many errors of each class a report shows. The first ones
// tell; the rest repeat them.
const keptErrors = 5

// tally is where the clients record results. One lock serves them all: it is
// held for well under a microsecond, and a crowd that fits on a machine takes
// it some ten thousand times a second.
type tally struct {
	began time.Time

	mu          sync.Mutex
	ended       time.Time // zero while the run goes on
	classes     []*classTally
	generations map[int]int
	highest     int
	risen       chan struct{} // closed, and replaced, when highest rises
}

// classTally holds the results of one class, guarded by the tally's lock.
type classTally struct {
	class   Class
	counts  Counts
	latency histogram
	errors  []error
}

func newTally() *tally {
	return &tally{
		began:       time.Now(),
		generations: make(map[int]int),
		risen:       make(chan struct{}),
	}
}

func (t *tally) addClass(class Class, clients int) *classTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	results := &classTally{class: class, counts: Counts{Clients: clients}}
	t.classes = append(t.classes, results)
	return results
}

// refuse records classes that do not exist, each as one broken request.
func (t *tally) refuse(unknown []Class) {
	for _, class := range unknown {
		results := t.addClass(class, 0)
		t.broken(results, 1, &BrokenError{Class: class, Unanswered: 1, Err: ErrUnknownClass})
	}
}

func (t *tally) connected(results *classTally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	results.counts.Connections++
}

func (t *tally) answered(results *classTally, generation int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	results.counts.Requests++
	results.latency.add(took)
	t.generations[generation]++
	if generation > t.highest {
		t.highest = generation
		close(t.risen)
		t.risen = make(chan struct{})
	}
}

// broken records that requests have no right answer, all for the same reason.
func (t *tally) broken(results *classTally, requests int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	results.counts.Requests += requests
	results.counts.Broken += requests
	if len(results.errors) < keptErrors {
		results.errors = append(results.errors, err)
	}
}

func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = time.Now()
}

func (t *tally) highestGeneration() (highest int, risen <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.highest, t.risen
}

func (t *tally) report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	report := Report{Elapsed: t.elapsedLocked(), Generations: maps.Clone(t.generations)}
	for _, results := range t.classes {
		report.ByClass = append(report.ByClass, results.reportLocked())
		report.add(results.counts)
	}
	return report
}

func (t *tally) elapsedLocked() time.Duration {
	if t.ended.IsZero() {
		return time.Since(t.began)
	}
	return t.ended.Sub(t.began)
}

func (c *classTally) reportLocked() ClassReport {
	return ClassReport{
		Class:       c.class,
		Counts:      c.counts,
		Latency:     c.latency.summary(),
		FirstErrors: slices.Clone(c.errors),
	}
}
