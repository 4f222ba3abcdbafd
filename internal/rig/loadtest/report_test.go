package loadtest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

func TestReportString(t *testing.T) {
	report := loadtest.Report{
		Counts:  loadtest.Counts{Clients: 51, Requests: 123456, Broken: 2, Connections: 60},
		Elapsed: 12345 * time.Millisecond,
		ByClass: []loadtest.ClassReport{
			{
				Class:   loadtest.KeepAlive,
				Counts:  loadtest.Counts{Clients: 50, Requests: 123406, Connections: 50},
				Latency: loadtest.Latency{P50: 212345, P99: 1234567, Max: 25 * time.Millisecond},
			},
			{
				Class:       loadtest.UploadThenGet,
				Counts:      loadtest.Counts{Clients: 1, Requests: 50, Broken: 2, Connections: 10},
				FirstErrors: []error{errors.New("the first"), errors.New("the second")},
			},
		},
		Generations: map[int]int{10: 3456, 2: 119998},
	}
	want := strings.Join([]string{
		"class              clients  requests  broken  connections       p50       p99       max",
		"keep-alive              50    123406       0           50     212µs    1.23ms      25ms",
		"upload-then-get          1        50       2           10        0s        0s        0s",
		"total                   51    123456       2           60  in 12.3s",
		"answered by generation 2: 119998, 10: 3456",
		"the first",
		"the second",
	}, "\n")
	if got := report.String(); got != want {
		t.Errorf("report is\n%s\nwant\n%s", got, want)
	}
}

// witness is a TB that only remembers.
type witness struct{ logged, failed []string }

func (w *witness) Helper()                   {}
func (w *witness) Errorf(f string, a ...any) { w.failed = append(w.failed, fmt.Sprintf(f, a...)) }
func (w *witness) Logf(f string, a ...any)   { w.logged = append(w.logged, fmt.Sprintf(f, a...)) }

func TestVerify(t *testing.T) {
	class := func(requests int) []loadtest.ClassReport {
		return []loadtest.ClassReport{{Class: loadtest.Slow, Counts: loadtest.Counts{Clients: 1, Requests: requests}}}
	}
	tests := []struct {
		name   string
		report loadtest.Report
		want   string // part of the failure; empty: none
	}{
		{"all right", loadtest.Report{Counts: loadtest.Counts{Requests: 9}, ByClass: class(9)}, ""},
		{"one broken", loadtest.Report{Counts: loadtest.Counts{Requests: 9, Broken: 1}, ByClass: class(9)}, "1 of 9"},
		{"nothing asked", loadtest.Report{}, "nothing is proved"},
		{"a class asked nothing", loadtest.Report{Counts: loadtest.Counts{Requests: 9}, ByClass: class(0)}, "class slow"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w witness
			loadtest.Verify(&w, test.report)
			failure := strings.Join(w.failed, "\n")
			if (failure != "") != (test.want != "") || !strings.Contains(failure, test.want) {
				t.Errorf("failed with %q, want %q", failure, test.want)
			}
			if len(w.logged) != 1 || w.logged[0] != test.report.String() {
				t.Errorf("logged %q, want the report", w.logged)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	if got := loadtest.Summarize(nil); got != (loadtest.Latency{}) {
		t.Errorf("latency of nothing is %+v", got)
	}
	for _, unit := range []time.Duration{1, 13, time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		var durations []time.Duration
		for i := range time.Duration(1000) {
			durations = append(durations, (i+1)*unit)
		}
		got := loadtest.Summarize(durations)
		checkNear(t, "p50", got.P50, 500*unit)
		checkNear(t, "p99", got.P99, 990*unit)
		if got.Max != 1000*unit {
			t.Errorf("max is %v, want %v", got.Max, 1000*unit)
		}
	}
	if got, want := loadtest.Summarize([]time.Duration{-5, 1<<63 - 1}).Max, time.Duration(1<<63-1); got != want {
		t.Errorf("max is %v, want %v", got, want)
	}
}

// checkNear allows what the documentation of Latency does.
func checkNear(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+want/16 {
		t.Errorf("%s is %v, want %v to %v", what, got, want, want+want/16)
	}
}

func TestThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 212345: "212µs", 1999999: "2ms", 90 * time.Second: "1m30s",
	} {
		if got := loadtest.ThreeDigits(d).String(); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}
