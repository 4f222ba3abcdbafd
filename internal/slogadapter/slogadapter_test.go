package slogadapter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/boundedlog"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/slogadapter"
)

// A sink is a log in JSON and the lines it has.
type sink struct{ bytes.Buffer }

// handler returns a handler that writes all levels from minimum on, and no
// time.
func (s *sink) handler(minimum slog.Level) slog.Handler {
	return slog.NewJSONHandler(&s.Buffer, &slog.HandlerOptions{
		Level:     minimum,
		AddSource: true,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
}

// lines returns what was written, and forgets it.
func (s *sink) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(s.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, fields)
	}
	s.Reset()
	return all
}

func TestLevels(t *testing.T) {
	for level, want := range map[hclog.Level]string{
		hclog.Trace: "DEBUG-4", hclog.Debug: "DEBUG", hclog.Info: "INFO", hclog.Warn: "WARN", hclog.Error: "ERROR", hclog.NoLevel: "INFO",
	} {
		var out sink
		slogadapter.New(out.handler(slog.LevelDebug-4)).Log(level, "said")
		if lines := out.lines(t); len(lines) != 1 || lines[0]["level"] != want || lines[0]["msg"] != "said" {
			t.Errorf("%v: wrote %v, want the level %s", level, lines, want)
		}
	}
	var out sink
	l := slogadapter.New(out.handler(slog.LevelDebug - 4))
	l.Log(hclog.Off, "not said")
	for _, say := range []func(string, ...any){l.Trace, l.Debug, l.Info, l.Warn, l.Error} {
		say("said")
	}
	if lines := out.lines(t); len(lines) != 5 {
		t.Errorf("wrote %v, want five lines", lines)
	}
}

// TestEnabled asks the handler what is logged, and heeds SetLevel as well.
func TestEnabled(t *testing.T) {
	var out sink
	l := slogadapter.New(out.handler(slog.LevelInfo))
	enabled := func() []bool { return []bool{l.IsTrace(), l.IsDebug(), l.IsInfo(), l.IsWarn(), l.IsError()} }
	for _, test := range []struct {
		set, want hclog.Level
		enabled   []bool
	}{
		{hclog.NoLevel, hclog.Info, []bool{false, false, true, true, true}},
		{hclog.Warn, hclog.Warn, []bool{false, false, false, true, true}},
		{hclog.Trace, hclog.Info, []bool{false, false, true, true, true}}, // the handler's own counts
		{hclog.Off, hclog.Off, []bool{false, false, false, false, false}},
	} {
		if test.set != hclog.NoLevel {
			l.Named("other").SetLevel(test.set) // they share it
		}
		if got := enabled(); !reflect.DeepEqual(got, test.enabled) || l.GetLevel() != test.want {
			t.Errorf("set to %v: %v at %v, want %v at %v", test.set, got, l.GetLevel(), test.enabled, test.want)
		}
	}
	l.Error("not said")
	if lines := out.lines(t); len(lines) != 0 {
		t.Errorf("wrote %v", lines)
	}
}

// TestAttributes keeps names, values and groups.
func TestAttributes(t *testing.T) {
	for name, test := range map[string]struct {
		say  func(hclog.Logger)
		want map[string]any
	}{
		"values": {
			func(l hclog.Logger) { l.Info("said", "number", 7, "text", "seven", "error", errors.New("no"), 8, true) },
			map[string]any{"number": 7.0, "text": "seven", "error": "no", "8": true},
		},
		"an attribute of slog": {
			func(l hclog.Logger) { l.Info("said", slog.Group("g", "a", 1), "b", 2) },
			map[string]any{"g": map[string]any{"a": 1.0}, "b": 2.0},
		},
		"one without a key": {
			func(l hclog.Logger) { l.Info("said", "a", 1, "alone") },
			map[string]any{"a": 1.0, hclog.MissingKey: "alone"},
		},
		"formats of hclog": {
			func(l hclog.Logger) {
				l.Info("said", "f", hclog.Fmt("%d-%d", 1, 2), "x", hclog.Hex(10), "o", hclog.Octal(8), "b", hclog.Binary(5), "q", hclog.Quote("q"), "none", hclog.Format{})
			},
			map[string]any{"f": "1-2", "x": "0xa", "o": "010", "b": "0b101", "q": "q", "none": ""},
		},
		"With": {
			func(l hclog.Logger) { l.With("a", 1).With("b", 2).Info("said", "c", 3) },
			map[string]any{"a": 1.0, "b": 2.0, "c": 3.0},
		},
		"Named": {
			func(l hclog.Logger) { l.Named("one").Named("two").With("a", 1).Info("said") },
			map[string]any{"logger": "one.two", "a": 1.0},
		},
		"ResetNamed": {
			func(l hclog.Logger) { l.Named("one").ResetNamed("two").Info("said") },
			map[string]any{"logger": "two"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out sink
			grouped := slogadapter.New(out.handler(slog.LevelInfo).WithAttrs([]slog.Attr{slog.String("program", "p")}).WithGroup("heirloom"))
			log := boundedlog.New(grouped) // as lifecycle has it
			test.say(log)
			log.Flush(patience.Of(time.Minute)) // it does not wait for long by itself
			want := []map[string]any{{"level": "INFO", "msg": "said", "program": "p", "heirloom": test.want}}
			if got := out.lines(t); !reflect.DeepEqual(got, want) {
				t.Errorf("wrote %v, want %v", got, want)
			}
		})
	}
}

// TestWithIsApart has one Logger of With not write what another adds.
func TestWithIsApart(t *testing.T) {
	var out sink
	l := slogadapter.New(out.handler(slog.LevelInfo)).With("a", 1, "b", 2)
	first, second := l.With("c", 3), l.With("d", 4)
	if got := first.ImpliedArgs(); !reflect.DeepEqual(got, []any{"a", 1, "b", 2, "c", 3}) {
		t.Errorf("the first has %v", got)
	}
	if got := second.ImpliedArgs(); !reflect.DeepEqual(got, []any{"a", 1, "b", 2, "d", 4}) {
		t.Errorf("the second has %v", got)
	}
	if l.Name() != "" || l.Named("n").Name() != "n" {
		t.Errorf("the names are %q and %q", l.Name(), l.Named("n").Name())
	}
}

// TestStandardLogger has lines of package log at the level that they say.
func TestStandardLogger(t *testing.T) {
	for _, test := range []struct {
		opts        *hclog.StandardLoggerOptions
		line        string
		level, want string
	}{
		{nil, "text", "INFO", "text"},
		{nil, "[WARN] text", "INFO", "[WARN] text"},
		{&hclog.StandardLoggerOptions{InferLevels: true}, "[WARN] text", "WARN", "text"},
		{&hclog.StandardLoggerOptions{InferLevels: true}, "[ERR] text", "ERROR", "text"},
		{&hclog.StandardLoggerOptions{InferLevels: true}, "[other] text", "INFO", "[other] text"},
		{&hclog.StandardLoggerOptions{ForceLevel: hclog.Error}, "text", "ERROR", "text"},
	} {
		var out sink
		slogadapter.New(out.handler(slog.LevelInfo)).StandardLogger(test.opts).Print(test.line)
		if got := out.lines(t); len(got) != 1 || got[0]["level"] != test.level || got[0]["msg"] != test.want {
			t.Errorf("%+v: of %q it wrote %v", test.opts, test.line, got)
		}
	}
}
