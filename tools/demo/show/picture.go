package show

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Columns of a picture: what is left of the timeline, the figures right of it,
// and the least that the timeline may have.
const (
	labelColumns   = 4
	figuresColumns = 7 + 3*14
	leastColumns   = 20
)

// A Paint colours what belongs to a generation, or for 0 what is broken.
type Paint func(generation int, text string) string

// Picture is Pictures, and ends with the one line.
func Picture(acts []*Act, columns int, paint Paint) string {
	return Pictures(acts, columns, paint) + TotalOf(acts).String() + "\n"
}

// Pictures shows the acts as text of so many columns.
func Pictures(acts []*Act, columns int, paint Paint) string {
	var b strings.Builder
	for _, a := range acts {
		a.draw(&b, max(columns-labelColumns-figuresColumns, leastColumns), paint)
		b.WriteString("\n")
	}
	return b.String()
}

// draw draws one row for each generation, when it answered and how long answers
// took around what that brought it.
func (a *Act) draw(b *strings.Builder, columns int, paint Paint) {
	t := a.timeline(columns)
	each, all := a.latencies()
	byGeneration := map[int]latency{}
	for i, r := range a.replaced {
		byGeneration[r.generation] = each[i]
	}
	fmt.Fprintf(b, "%s: %s\n", a.Name, a.About)
	a.head(b, columns)
	for i, row := range t.rows {
		generation, figures := i+1, "      -"
		if l, ok := byGeneration[generation]; ok {
			figures = l.row()
		}
		fmt.Fprintf(b, "%3d %s%s\n", generation, paint(generation, bars(row, t.most)), figures)
	}
	if slices.Max(t.broken) > 0 {
		fmt.Fprintf(b, "  ✗ %s  broken\n", paint(0, crosses(t.broken)))
	}
	fmt.Fprintf(b, "    %s%s\n", axis(a.replaced, t), all.row())
	fmt.Fprintf(b, "    %s  ↑ all %ss together, in ms\n", seconds(t), a.Verb)
}

// head is what the columns are. The figures of one generation are those around
// what that brought it.
func (a *Act) head(b *strings.Builder, columns int) {
	during := "during " + a.Verb
	if len(during) > 13 { // there is to be a space before it
		during = "during"
	}
	fmt.Fprintf(b, "%*s%14s%14s%14s\n", labelColumns+columns+7, a.Verb, "200 ms before", during, "200 ms after")
	fmt.Fprintf(b, "%-*s %6s", labelColumns+columns, "answers by generation", "ms")
	for range windows {
		fmt.Fprintf(b, "%8s%6s", "median", "worst")
	}
	b.WriteString("\n")
}

func (l latency) row() string {
	cells := l.cells()
	row := fmt.Sprintf("%7s", cells[0])
	for i := 1; i < len(cells); i += 2 {
		row += fmt.Sprintf("%8s%6s", cells[i], cells[i+1])
	}
	return row
}

// block is a block as high as n is of most; whatever there is of, is seen.
func block(n, most int) string {
	blocks := []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	if n <= 0 {
		return blocks[0]
	}
	return blocks[1+(n*7)/max(most, 1)]
}

func bars(row []int, most int) string {
	var b strings.Builder
	for _, n := range row {
		b.WriteString(block(n, most))
	}
	return b.String()
}

func crosses(broken []int) string {
	var b strings.Builder
	for _, n := range broken {
		if n > 0 {
			b.WriteString("✗")
		} else {
			b.WriteString(" ")
		}
	}
	return b.String()
}

// axis is a line that is marked where a replacement began.
func axis(replaced []replacement, t timeline) string {
	line := []rune(strings.Repeat("─", len(t.broken)))
	for _, r := range replaced {
		line[t.slotOf(r.began)] = '┴'
	}
	return string(line)
}

// seconds numbers the axis, as closely as there is room for.
func seconds(t timeline) string {
	line := []byte(strings.Repeat(" ", len(t.broken)))
	step := 1 + int(5*t.slot/time.Second)
	for s := 0; ; s += step {
		text, at := fmt.Sprintf("%d s", s), int(time.Duration(s)*time.Second/t.slot)
		if at+len(text) > len(line) {
			return string(line)
		}
		copy(line[at:], text)
	}
}
