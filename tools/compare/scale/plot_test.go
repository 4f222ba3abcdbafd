package scale_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/tools/compare/scale"
)

// growing has crowds of three sizes, on straight lines, and one that was had
// with one size only. Its largest comes first.
func growing() []*scale.Result {
	round := func(n, more int) scale.Round {
		d := 10*time.Millisecond + time.Duration(n*20+more)*time.Microsecond
		return scale.Round{Owned: d, Old: scale.Cost{CPU: d}, New: scale.Cost{CPU: d}, Systemd: 5 * time.Millisecond, Both: 20<<10 + 8*n}
	}
	var results []*scale.Result
	for _, n := range []int{10000, 1000, 5000} {
		results = append(results, &scale.Result{Program: "/tmp/<a>&\"b\"", Verb: "reload", Connections: n,
			Rounds: []scale.Round{round(n, 0), round(n, 90000), round(n, -500)}})
	}
	return append(results,
		&scale.Result{Verb: "restart", TLS: true, Connections: 5000, Rounds: []scale.Round{round(5000, 0)}},
		&scale.Result{Verb: "kill -9", Connections: 5000})
}

// TestSlopes has the slopes of medians that lie on a line. A round that took
// long does not count.
func TestSlopes(t *testing.T) {
	text := scale.Slopes(growing())
	const want = "| reload, <a>&\"b\" | 20.00 | 10 | 40.00 | 20 | 0.00 | 5 | 8.00 | 20 |\n"
	if !strings.HasSuffix(text, " --- |\n"+want) {
		t.Errorf("the table is not one with the row %q:\n%s", want, text)
	}
	if text := scale.Slopes(growing()[2:]); text != "" {
		t.Errorf("one size of crowd has slopes:\n%s", text)
	}
	if text := scale.Slopes(nil); text != "" {
		t.Errorf("no crowd has slopes:\n%s", text)
	}
}

// TestPlot has a plot that is XML, with a point for each crowd and a line for
// each slope, all within its frame.
func TestPlot(t *testing.T) {
	const panels = 4
	for _, test := range []struct {
		name           string
		results        []*scale.Result
		points, slopes int
	}{
		{"several crowds", growing(), 4, 1},
		{"one crowd", growing()[3:], 1, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			svg := scale.Plot(test.results)
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("what cannot be drawn:\n%s", svg)
			}
			texts, circles := read(t, svg)
			names := map[bool]int{true: 2, false: 1}[test.slopes > 0]
			if test.results == nil {
				names = 0
			}
			if want := panels * (test.points + names); circles != want {
				t.Errorf("%d circles, want %d", circles, want)
			}
			if got := strings.Count(texts, "each"); got != panels*test.slopes {
				t.Errorf("%d slopes, want %d: %s", got, panels*test.slopes, texts)
			}
			for _, want := range []string{`reload, <a>&"b": 20.00 µs each`, `reload, <a>&"b": 8.00 KiB each`, "10,000", "restart, TLS\n"} {
				if test.slopes > 0 && !strings.Contains(texts, want) {
					t.Errorf("%q is missing: %s", want, texts)
				}
			}
		})
	}
}

// read returns the texts of an SVG, each on a line, and how many circles it has.
func read(t *testing.T, svg string) (texts string, circles int) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts, circles
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "circle" {
				circles++
			}
		case xml.CharData:
			texts += string(token)
		}
	}
}
