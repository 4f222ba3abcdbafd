package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// An event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// A summary turns the events of go test into what go test shows without -v, and
// remembers what was skipped, and what took long. Goroutines may share it.
type summary struct {
	mu      sync.Mutex
	out     io.Writer
	took    map[testID]float64  // seconds, of what was not over at once
	written map[testID][]string // lines of tests that run
	leftOut map[string][]string // names by reason
	parts   []part
}

// A part is what one go test took, and how much of the processor, with all
// processes that it has started. Compiling comes before.
type part struct {
	name                       string
	took, processor, compiling time.Duration
}

type testID struct{ pkg, test string }

func newSummary(out io.Writer) *summary {
	return &summary{out: out, took: make(map[testID]float64), written: make(map[testID][]string), leftOut: make(map[string][]string)}
}

// read reads events until r ends. A line that is no event is shown as it is.
func (s *summary) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) line(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var e event
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil {
		_, _ = s.out.Write(line)
		return
	}
	id := testID{e.Package, e.Test}
	if e.Elapsed >= noted && !strings.Contains(e.Test, "/") {
		s.took[id] = e.Elapsed
	}
	switch e.Action {
	case "output":
		s.output(id, e.Output)
	case "build-output":
		_, _ = io.WriteString(s.out, e.Output)
	case "skip":
		if e.Test != "" { // else a package without tests
			s.leaveOut(reason(s.written[id]), e.Package+" "+e.Test)
		}
		delete(s.written, id)
	case "pass":
		delete(s.written, id)
	case "fail":
		s.fail(id)
	}
}

// output keeps what a test writes until it is known whether it fails. What
// belongs to no test is shown, except the PASS above the line of the package,
// and what only -v, which -json implies, would show.
func (s *summary) output(id testID, text string) {
	switch {
	case id.test != "":
		s.written[id] = append(s.written[id], text)
	case text != "PASS\n":
		_, _ = io.WriteString(s.out, text)
	}
}

// fail shows what a failed test wrote. When a package fails, its tests that
// have not come to an end were cut off, by a panic or a timeout, and are shown
// as well.
func (s *summary) fail(id testID) {
	ids := []testID{id}
	if id.test == "" {
		ids = slices.SortedFunc(maps.Keys(s.written), func(a, b testID) int { return strings.Compare(a.test, b.test) })
	}
	for _, i := range ids {
		if i.pkg == id.pkg {
			_, _ = io.WriteString(s.out, strings.Join(s.written[i], ""))
			delete(s.written, i)
		}
	}
}

// reason is what a skipped test wrote: lines like "    name_test.go:12:
// reason".
func reason(written []string) string {
	var said []string
	for _, line := range written {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if place, text, found := strings.Cut(line, ": "); found && strings.Contains(place, ".go:") {
			line = text
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

const (
	// noted is how many seconds a test takes that may be named at the end.
	noted = 1
	// longest is how many are.
	longest = 15
)

// writeLongest lists what took longest: packages, and tests. Those beside each
// other wait for each other.
func (s *summary) writeLongest() {
	ids := slices.SortedFunc(maps.Keys(s.took), func(a, b testID) int { return cmp.Compare(s.took[b], s.took[a]) })
	if len(ids) == 0 {
		return
	}
	_, _ = fmt.Fprintln(s.out, "\nthe longest took, in seconds:")
	for _, id := range ids[:min(longest, len(ids))] {
		_, _ = fmt.Fprintf(s.out, "  %6.1f  %s %s\n", s.took[id], id.pkg, id.test)
	}
}

// addPart notes what a part took.
func (s *summary) addPart(p part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, p)
}

// writeParts lists the parts, the longest first.
func (s *summary) writeParts() {
	if len(s.parts) == 0 {
		return
	}
	slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(b.took, a.took) })
	_, _ = fmt.Fprintln(s.out, "\nthe parts took, in seconds, those of the processor, and of it to compile them:")
	for _, p := range s.parts {
		_, _ = fmt.Fprintf(s.out, "  %6.1f %6.1f %6.1f  %s\n", p.took.Seconds(), p.processor.Seconds(), p.compiling.Seconds(), p.name)
	}
}

// leaveOut notes that name was left out.
func (s *summary) leaveOut(reason, name string) {
	s.leftOut[reason] = append(s.leftOut[reason], name)
}

func (s *summary) anyLeftOut() bool { return len(s.leftOut) > 0 }

// writeLeftOut lists what was left out by reason.
func (s *summary) writeLeftOut() {
	if !s.anyLeftOut() {
		_, _ = fmt.Fprintln(s.out, "\nno test was left out")
		return
	}
	_, _ = fmt.Fprintln(s.out, "\nleft out:")
	for _, reason := range slices.Sorted(maps.Keys(s.leftOut)) {
		_, _ = fmt.Fprintf(s.out, "  %s\n", reason)
		for _, name := range s.leftOut[reason] {
			_, _ = fmt.Fprintf(s.out, "      %s\n", name)
		}
	}
}
