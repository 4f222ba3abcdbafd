package show

import (
	"fmt"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// Block and Milliseconds are the functions of the same name.
var (
	Block        = block
	Milliseconds = milliseconds
)

// IsLive reports whether there would be drawing on f.
func IsLive(f *os.File) bool { return NewScreen(f).Live() }

// Fit is a line of two parts, the second in colour, in a width.
func Fit(plain, coloured string, width int) string {
	return spans{{"", plain}, {colour(1), coloured}}.fit(width)
}

// Drawn draws acts; colours are shown as <generation:text>.
func Drawn(acts []*Act, columns int, colours bool) string {
	return Picture(acts, columns, func(generation int, text string) string {
		if !colours {
			return text
		}
		return fmt.Sprintf("<%d:%s>", generation, text)
	})
}

// MakeAct makes up an act. A replacement is a generation's number and when it
// began.
func MakeAct(name, about, verb string, report loadtest.Report, replaced map[int]time.Duration, observations []loadtest.Observation) *Act {
	a := &Act{Name: name, About: about, Verb: verb}
	for generation := 2; generation <= len(replaced)+1; generation++ {
		a.replaced = append(a.replaced, replacement{generation: generation, began: replaced[generation]})
	}
	for _, o := range observations {
		a.Observe(o)
	}
	a.Close(report)
	return a
}

// Latencies are the cells of each replacement, and those of all.
func Latencies(a *Act) [][]string {
	each, all := a.latencies()
	var rows [][]string
	for _, l := range each {
		rows = append(rows, l.cells())
	}
	return append(rows, all.cells())
}
