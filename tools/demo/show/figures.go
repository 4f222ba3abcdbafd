package show

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// around is how much of the time before a replacement, and after it, is
// compared with it.
const around = 200 * time.Millisecond

// A timeline counts requests by the generation that answered them, and by the
// slot of time in which it did.
type timeline struct {
	slot   time.Duration
	rows   [][]int // of generation 1 and so on; all of the same length
	broken []int
	most   int // in any slot of any row
}

func (a *Act) timeline(slots int) timeline {
	last, generations := time.Duration(0), 1
	for _, answer := range a.answers {
		last, generations = max(last, answer.at), max(generations, answer.generation)
	}
	t := timeline{slot: last/time.Duration(slots) + 1, broken: make([]int, slots)}
	for range generations {
		t.rows = append(t.rows, make([]int, slots))
	}
	for _, answer := range a.answers {
		slot := t.slotOf(answer.at)
		if answer.broken > 0 {
			t.broken[slot] += answer.broken
			continue
		}
		row := t.rows[answer.generation-1]
		row[slot]++
		t.most = max(t.most, row[slot])
	}
	return t
}

// slotOf is the slot in which a time is, or would be if that is none of the
// timeline's.
func (t timeline) slotOf(at time.Duration) int { return min(max(int(at/t.slot), 0), len(t.broken)-1) }

// A window is the latency of the requests in some span of time.
type window struct {
	requests      int
	median, worst time.Duration
}

func windowOf(took []time.Duration) window {
	if len(took) == 0 {
		return window{}
	}
	slices.Sort(took)
	return window{requests: len(took), median: took[len(took)/2], worst: took[len(took)-1]}
}

// The windows of a replacement. A request belongs to it if any of its time
// does: from its last byte to the end of its answer.
const (
	before = iota
	during
	after
	windows
)

// latency is how long answers took around a replacement, or around all of them.
type latency struct {
	took    time.Duration // the replacement
	windows [windows]window
}

// latencies returns those of each replacement, and that of all of them
// together, whose took is the median. Requests for a late answer do not count.
func (a *Act) latencies() (each []latency, all latency) {
	var pooled [windows][]time.Duration
	var times []time.Duration
	for _, r := range a.replaced {
		l := latency{took: r.ended - r.began}
		for i, took := range a.tookAround(r) {
			pooled[i] = append(pooled[i], took...)
			l.windows[i] = windowOf(took)
		}
		each, times = append(each, l), append(times, l.took)
	}
	all.took = windowOf(times).median
	for i, took := range pooled {
		all.windows[i] = windowOf(took)
	}
	return each, all
}

func (a *Act) tookAround(r replacement) (took [windows][]time.Duration) {
	for _, answer := range a.answers {
		if answer.slow || answer.broken > 0 {
			continue
		}
		began := answer.at - answer.took
		i := during
		switch {
		case answer.at < r.began-around, began > r.ended+around:
			continue
		case answer.at < r.began:
			i = before
		case began > r.ended:
			i = after
		}
		took[i] = append(took[i], answer.took)
	}
	return took
}

// cells are the figures in milliseconds: how long the replacement took, and the
// median and the worst of each window.
func (l latency) cells() []string {
	cells := []string{milliseconds(l.took)}
	for _, w := range l.windows {
		if w.requests == 0 {
			cells = append(cells, "-", "-")
			continue
		}
		cells = append(cells, milliseconds(w.median), milliseconds(w.worst))
	}
	return cells
}

// milliseconds is d with about three digits.
func milliseconds(d time.Duration) string {
	ms, digits := float64(d)/float64(time.Millisecond), 2
	switch {
	case ms >= 99.95:
		digits = 0
	case ms >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(ms, 'f', digits, 64)
}

// A Total adds the acts up.
type Total struct {
	Requests, Broken, Connections, Generations int
}

// TotalOf adds the acts up.
func TotalOf(acts []*Act) Total {
	var t Total
	for _, a := range acts {
		t.Requests += a.report.Requests
		t.Broken += a.report.Broken
		t.Connections += a.report.Connections
		t.Generations += len(a.report.Generations)
	}
	return t
}

// String is the one line.
func (t Total) String() string {
	return fmt.Sprintf("%d requests, %d broken, %d connections opened, %d generations", t.Requests, t.Broken, t.Connections, t.Generations)
}
