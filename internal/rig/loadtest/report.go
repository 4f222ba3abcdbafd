package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what came of a run. It is a copy: nothing changes it later.
type Report struct {
	// Counts are those of all classes together.
	Counts
	// Elapsed is the time from Start until now, or until the last client was
	// done.
	Elapsed time.Duration
	// ByClass holds the classes that had clients in the order of [Classes],
	// then unknown ones sorted by name.
	ByClass []ClassReport
	// Generations says how many requests each generation answered rightly. They
	// add up to Requests less Broken.
	Generations map[int]int
}

// ClassReport is what came of the clients of one class.
type ClassReport struct {
	Class Class
	Counts
	Latency Latency
	// FirstErrors are the first few reasons for broken requests, each a
	// *[BrokenError], in the order they were met.
	FirstErrors []error
}

// Counts are the figures a class and a whole run have in common.
type Counts struct {
	// Clients is how many clients there were.
	Clients int
	// Requests is how many requests came to an end, rightly answered or broken.
	Requests int
	// Broken is how many of them did not get the right answer in time.
	Broken int
	// Connections is how many connections were opened.
	Connections int
}

// Latency describes the time from just before the last segment of a request was
// written until its answer was read, for right answers only. The first answer
// on a connection bears the time of the dial as well, since a full backlog
// shows nowhere else. Percentiles are too high by 1/16 at most. All are zero
// without a right answer.
type Latency struct {
	P50, P99, Max time.Duration
}

// TB is the part of testing.TB that Verify needs. A program that imports this
// package does not import testing.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Verify fails the test when a request is broken, and when the run proves
// nothing because it, or one of its classes, asked nothing. It logs the report
// in every case.
func Verify(t TB, report Report) {
	t.Helper()
	t.Logf("%v", report)
	if report.Broken > 0 {
		t.Errorf("%d of %d requests are broken, want none", report.Broken, report.Requests)
	}
	if report.Requests == 0 {
		t.Errorf("no request was made, so nothing is proved")
	}
	for _, class := range report.ByClass {
		if class.Requests == 0 {
			t.Errorf("no request of class %s was made, so nothing is proved of it", class.Class)
		}
	}
}

// String is a table of the classes, then the generations, then the first
// errors. It ends without a newline.
func (r Report) String() string {
	var b strings.Builder
	r.writeTable(&b)
	r.writeGenerations(&b)
	r.writeErrors(&b)
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *Report) add(c Counts) {
	r.Clients += c.Clients
	r.Requests += c.Requests
	r.Broken += c.Broken
	r.Connections += c.Connections
}

func (r Report) writeTable(b *strings.Builder) {
	const row = "%-18s %7v %9v %7v %12v %9v %9v %9v\n"
	fmt.Fprintf(b, row, "class", "clients", "requests", "broken", "connections", "p50", "p99", "max")
	for _, c := range r.ByClass {
		fmt.Fprintf(b, row, c.Class, c.Clients, c.Requests, c.Broken, c.Connections,
			threeDigits(c.Latency.P50), threeDigits(c.Latency.P99), threeDigits(c.Latency.Max))
	}
	fmt.Fprintf(b, "%-18s %7d %9d %7d %12d  in %v\n",
		"total", r.Clients, r.Requests, r.Broken, r.Connections, threeDigits(r.Elapsed))
}

func (r Report) writeGenerations(b *strings.Builder) {
	if len(r.Generations) == 0 {
		b.WriteString("no request was answered\n")
		return
	}
	b.WriteString("answered by generation")
	separator := " "
	for _, generation := range slices.Sorted(maps.Keys(r.Generations)) {
		fmt.Fprintf(b, "%s%d: %d", separator, generation, r.Generations[generation])
		separator = ", "
	}
	b.WriteString("\n")
}

func (r Report) writeErrors(b *strings.Builder) {
	for _, c := range r.ByClass {
		for _, err := range c.FirstErrors {
			fmt.Fprintf(b, "%v\n", err)
		}
	}
}

// threeDigits rounds d to about three digits, which is as much as a reader of a
// table takes in.
func threeDigits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
