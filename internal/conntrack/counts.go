package conntrack

import (
	"fmt"
	"strings"
)

// Counts are the numbers of connections, by their state.
type Counts struct{ New, Active, Idle, Hijacked, Streams, Others int }

// each calls f with each count and its name, which is that of the handover
// protocol.
func (c *Counts) each(f func(name string, n *int)) {
	f("new", &c.New)
	f("active", &c.Active)
	f("idle", &c.Idle)
	f("hijacked", &c.Hijacked)
	f("streams", &c.Streams)
	f("others", &c.Others)
}

// ByName returns the counts by their names.
func (c Counts) ByName() map[string]int {
	counts := map[string]int{}
	c.each(func(name string, n *int) { counts[name] = *n })
	return counts
}

// CountsOf is the reverse of ByName. Names that are not known are ignored.
func CountsOf(counts map[string]int) (c Counts) {
	c.each(func(name string, n *int) { *n = counts[name] })
	return c
}

// String says how many connections are in which state, for people.
func (c Counts) String() string {
	text := fmt.Sprintf("%d active, %d idle, %d new", c.Active, c.Idle, c.New)
	if c.Hijacked > 0 {
		text += fmt.Sprintf(", %d hijacked", c.Hijacked)
	}
	if c.Streams > 0 {
		text += fmt.Sprintf(", %d streams", c.Streams)
	}
	if c.Others > 0 {
		text += fmt.Sprintf(", %d others", c.Others)
	}
	return text
}

// Leftover says what a drain waits for, connections and jobs, "" if for
// nothing.
func (c Counts) Leftover(jobs []string) string {
	var parts []string
	for _, kind := range []struct {
		n    int
		name string
	}{
		{c.Active, "request"},
		{c.Idle + c.New, "idle connection"},
		{c.Hijacked, "hijacked connection"},
		{c.Streams, "stream"},
		{c.Others, "other connection"},
	} {
		switch {
		case kind.n == 1:
			parts = append(parts, "1 "+kind.name)
		case kind.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", kind.n, kind.name))
		}
	}
	return strings.Join(append(parts, jobs...), ", ")
}
