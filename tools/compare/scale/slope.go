package scale

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A measure is one figure of a round.
type measure struct {
	name, unit string
	of         func(Round) float64
	each       string  // the unit of the slope
	factor     float64 // of the slope, from unit to each
}

// measures are those that grow with the crowd. The plot has a panel for each.
var measures = []measure{
	{"until the last one moved", "ms", func(r Round) float64 { return inMilliseconds(r.Owned) }, "µs", 1000},
	{"processor time of both processes", "ms", func(r Round) float64 { return inMilliseconds(r.Old.CPU + r.New.CPU) }, "µs", 1000},
	{"processor time of systemd", "ms", func(r Round) float64 { return inMilliseconds(r.Systemd) }, "µs", 1000},
	{"memory of all processes at its peak", "MiB", func(r Round) float64 { return float64(r.Both) / 1024 }, "KiB", 1024},
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A point is what was measured with one crowd: the median of the rounds.
type point struct{ connections, value float64 }

// A line is what one verb of one program came to, as the crowd grew.
type line struct {
	name   string
	points []point // by connections
}

// linesOf returns a line for each verb, in the order of the results.
func linesOf(results []*Result, m measure) []line {
	var lines []line
	for _, r := range results {
		if len(r.Rounds) == 0 {
			continue
		}
		i := slices.IndexFunc(lines, func(l line) bool { return l.name == r.name() })
		if i < 0 {
			i = len(lines)
			lines = append(lines, line{name: r.name()})
		}
		values := make([]float64, 0, len(r.Rounds))
		for _, round := range r.Rounds {
			values = append(values, m.of(round))
		}
		slices.Sort(values)
		lines[i].points = append(lines[i].points, point{float64(r.Connections), values[len(values)/2]})
	}
	for _, l := range lines {
		slices.SortStableFunc(l.points, func(a, b point) int { return cmp.Compare(a.connections, b.connections) })
	}
	return lines
}

// fit returns the straight line through points that has the least squares. It
// needs two crowds of different sizes.
func fit(points []point) (start, slope float64, ok bool) {
	var n, x, y float64
	for _, p := range points {
		n, x, y = n+1, x+p.connections, y+p.value
	}
	if n == 0 {
		return 0, 0, false
	}
	x, y = x/n, y/n
	var xx, xy float64
	for _, p := range points {
		xx += (p.connections - x) * (p.connections - x)
		xy += (p.connections - x) * (p.value - y)
	}
	if xx == 0 {
		return 0, 0, false
	}
	slope = xy / xx
	return y - slope*x, slope, true
}

// Slopes is a table of what each connection more costs, by the least squares of
// the medians, and of what would remain without any. It is empty if there was
// one size of crowd.
func Slopes(results []*Result) string {
	var b strings.Builder
	fmt.Fprint(&b, "| each connection more |")
	for _, m := range measures {
		fmt.Fprintf(&b, " %s, %s | at none, %s |", m.name, m.each, m.unit)
	}
	fmt.Fprintf(&b, "\n|%s\n", strings.Repeat(" --- |", 1+2*len(measures)))
	lines := make([][]line, len(measures))
	for i, m := range measures {
		lines[i] = linesOf(results, m)
	}
	rows := 0
	for i, first := range lines[0] {
		if _, _, ok := fit(first.points); !ok {
			continue
		}
		rows++
		fmt.Fprintf(&b, "| %s |", first.name)
		for j, m := range measures {
			start, slope, _ := fit(lines[j][i].points)
			fmt.Fprintf(&b, " %.2f | %.0f |", slope*m.factor, start)
		}
		fmt.Fprintln(&b)
	}
	if rows == 0 {
		return ""
	}
	return b.String()
}
