package show_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const ms = time.Millisecond

// answered is an observation, made up.
func answered(generation int, at, took time.Duration) loadtest.Observation {
	return loadtest.Observation{Class: loadtest.KeepAlive, At: time.Time{}.Add(at), Took: took, Generation: generation}
}

// makeAct makes up an act of a service that was reloaded in one of the two
// ways.
func makeAct(inPlace bool, report loadtest.Report, reloads map[int]time.Duration, all []loadtest.Observation) *show.Act {
	name, about := "beside", "each next process starts beside the old one, as under systemd"
	if inPlace {
		name, about = "in place", "one process runs the program anew, as in a container; clients wait"
	}
	return show.MakeAct(name, about, "reload", report, reloads, all)
}

// madeUp is two acts with two reloads each. In the second, a request broke.
func madeUp() []*show.Act {
	var acts []*show.Act
	for number, wait := range []time.Duration{0, 200 * ms} {
		var all []loadtest.Observation
		generations := map[int]int{}
		reloads := map[int]time.Duration{2: 1000 * ms, 3: 2000 * ms}
		for at := 5 * ms; at < 3000*ms; at += 5 * ms {
			generation, into := 1+int(at/time.Second), at%time.Second
			took := ms/2 + at/3000
			if generation > 1 && into < 20*ms+wait {
				if took += wait; wait > 0 {
					continue
				}
				generation--
			} else if generation > 1 && into == 20*ms+wait {
				took += wait
			}
			all = append(all, answered(generation, at, took))
			generations[generation]++
		}
		late := answered(1, 1500*ms, 900*ms)
		late.Class = loadtest.Slow
		all = append(all, late)
		generations[1]++
		report := loadtest.Report{Counts: loadtest.Counts{Clients: 3, Requests: len(all), Connections: 5}, Generations: generations}
		if number == 1 {
			all = append(all, loadtest.Observation{Class: loadtest.Pipelined, At: time.Time{}.Add(2500 * ms), Broken: 2})
			report.Requests, report.Broken = report.Requests+2, 2
		}
		report.ByClass = []loadtest.ClassReport{
			{Class: loadtest.KeepAlive, Counts: report.Counts, Latency: loadtest.Latency{P50: ms / 2, P99: 2 * ms, Max: 201 * ms}},
		}
		acts = append(acts, makeAct(number == 1, report, reloads, all))
	}
	return acts
}

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("it is not what %s (%v) says; see the difference with go test -update:\n%s", path, err, got)
	}
}

func TestPictures(t *testing.T) {
	wide, narrow := show.Drawn(madeUp(), 100, false), show.Drawn(madeUp(), 79, true)
	golden(t, "wide.txt", wide)
	golden(t, "narrow-coloured.txt", narrow)
	for line := range strings.Lines(wide) {
		if n := utf8.RuneCountInString(line) - 1; n > 100 {
			t.Errorf("%d columns, want 100 at most: %s", n, line)
		}
	}
}

// TestEmpty has acts that ended before anything came of them.
func TestEmpty(t *testing.T) {
	acts := []*show.Act{makeAct(false, loadtest.Report{}, map[int]time.Duration{2: ms}, nil)}
	text := show.Drawn(acts, 60, false)
	if !strings.HasSuffix(text, "\n0 requests, 0 broken, 0 connections opened, 0 generations\n") {
		t.Errorf("picture is\n%s", text)
	}
}

// TestLatencies has requests at the edges of the windows around a reload from
// 1000 ms to 1100 ms.
func TestLatencies(t *testing.T) {
	slow := answered(1, 1050*ms, 700*ms)
	slow.Class = loadtest.Slow
	act := makeAct(false, loadtest.Report{}, map[int]time.Duration{2: 1000 * ms}, []loadtest.Observation{
		answered(1, 799*ms, 99*ms), // too early
		answered(1, 800*ms, 11*ms), answered(1, 999*ms, 13*ms), answered(1, 990*ms, 12*ms),
		answered(1, 1000*ms, 21*ms),                              // ends when the reload begins
		answered(2, 1100*ms, 22*ms),                              // ends it
		answered(2, 1150*ms, 500*ms),                             // waited all the time
		answered(2, 1123*ms, 23*ms),                              // begins when it ends
		answered(2, 1132*ms, 31*ms), answered(2, 1333*ms, 33*ms), // begins at the last moment
		answered(2, 1335*ms, 34*ms), // too late
		slow,
		{Class: loadtest.KeepAlive, At: time.Time{}.Add(1050 * ms), Broken: 1},
	})
	want := []string{"100", "12.0", "13.0", "23.0", "500", "33.0", "33.0"}
	got := show.Latencies(act)
	if len(got) != 2 || !slices.Equal(got[0], want) || !slices.Equal(got[1], want) {
		t.Errorf("latencies are %v, want twice %v", got, want)
	}
	none := makeAct(false, loadtest.Report{}, map[int]time.Duration{2: 1000 * ms}, []loadtest.Observation{answered(1, ms, ms)})
	if got, want := show.Latencies(none), [][]string{{"0.00", "-", "-", "-", "-", "-", "-"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("latencies without a reload are %v, want %v", got, want)
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00", 4567: "0.00", 5 * time.Microsecond: "0.01", 9994 * time.Microsecond: "9.99", 9995 * time.Microsecond: "10.0",
		99949 * time.Microsecond: "99.9", 99950 * time.Microsecond: "100", 12345 * ms: "12345",
	} {
		if got := show.Milliseconds(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestBlock(t *testing.T) {
	for n, want := range map[int]string{-1: " ", 0: " ", 1: "▁", 500: "▄", 999: "▇", 1000: "█"} {
		if got := show.Block(n, 1000); got != want {
			t.Errorf("%d of 1000 is %q, want %q", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for width, want := range map[int]string{0: "", 2: "äö", 3: "äöü", 4: "äöü\x1b[36m█\x1b[0m", 9: "äöü\x1b[36m█▇\x1b[0m"} {
		if got := show.Fit("äöü", "█▇", width); got != want {
			t.Errorf("in %d columns: %q, want %q", width, got, want)
		}
	}
}
