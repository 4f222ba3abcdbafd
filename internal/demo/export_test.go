package main

import (
	"fmt"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/loadtest"
)

// Main is the program, for the test binary to be it.
var Main = main

// Block, Milliseconds and Render are the functions of the same name.
var (
	Block        = block
	Milliseconds = milliseconds
	Render       = render
)

// IsLive reports whether the demo would draw on f.
func IsLive(f *os.File) bool { return newScreen(f).width != nil }

// Fit is a line of two parts, the second in colour, in a width.
func Fit(plain, coloured string, width int) string {
	return spans{{"", plain}, {colour(1), coloured}}.fit(width)
}

// Picture draws acts; colours are shown as <generation:text>.
func Picture(acts []*Act, columns int, colours bool) string {
	return picture(acts, columns, func(generation int, text string) string {
		if !colours {
			return text
		}
		return fmt.Sprintf("<%d:%s>", generation, text)
	})
}

// An Act is an act that may be made up.
type Act = act

// MakeAct makes up an act. A reload is a generation's number and when it began.
func MakeAct(inTheSameProcess bool, report loadtest.Report, reloads map[int]time.Duration, observations []loadtest.Observation) *Act {
	s := &stage{act: &act{way: beside, report: report}}
	if inTheSameProcess {
		s.way = inPlace
	}
	for generation := 2; generation <= len(reloads)+1; generation++ {
		s.reloads = append(s.reloads, reload{generation: generation, began: reloads[generation]})
	}
	for _, o := range observations {
		s.observe(o)
	}
	s.settle()
	return s.act
}

// Latencies are the cells of each reload, and those of all.
func Latencies(a *Act) [][]string {
	each, all := a.latencies()
	var rows [][]string
	for _, l := range each {
		rows = append(rows, l.cells())
	}
	return append(rows, all.cells())
}
