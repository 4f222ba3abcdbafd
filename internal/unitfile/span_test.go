package unitfile_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// bad stands for no time span. It is the longest there is, but not in the
// table.
const bad = math.MaxUint64 - 1

// spans are texts and what they are in microseconds.
var spans = []struct {
	text string
	usec uint64
}{
	{"20", 20e6},
	{"20s", 20e6},
	{"20 sec", 20e6},
	{"20second", 20e6},
	{"20seconds", 20e6},
	{"1min 30s", 90e6},
	{"1minute", 60e6},
	{"2minutes", 120e6},
	{"5m", 300e6},
	{"5M", 5 * 2629800e6},
	{"1month", 2629800e6},
	{"1months", 2629800e6},
	{"5ms", 5e3},
	{"5msec", 5e3},
	{"5us", 5},
	{"5usec", 5},
	{"5 μs", 5},
	{"5µs", 5},
	{"2h1hr", 3 * 3600e6},
	{"1hour 1hours", 2 * 3600e6},
	{"3 weeks2d", 23 * 86400e6},
	{"1w1week", 14 * 86400e6},
	{"1day1days", 2 * 86400e6},
	{"1y", 31557600e6},
	{"1year 1years", 2 * 31557600e6},
	{"1.5 m", 90e6},
	{".5s", 500e3},
	{"1s.5", 1500e3},
	{"1.0000001s", 1e6},
	{"5s3", 8e6},
	{"5 5", 10e6},
	{"5 +5", 10e6},
	{"\t5\t", 5e6},
	{"0", 0},
	{"0.0000001", 0},
	{"infinity", math.MaxUint64},
	{" infinity ", math.MaxUint64},
	{"9223372036854775807us", math.MaxInt64},
	{"9223372036854775807us 9223372036854775806us", math.MaxUint64 - 2},
	{"9223372036854775808us", bad},
	{"584543y", bad},
	{"300000y 300000y", bad},
	{"", bad},
	{" ", bad},
	{"s", bad},
	{".", bad},
	{"1.s", bad},
	{"+.5", bad},
	{"5.5.5", bad},
	{"5+5", bad},
	{"5 . 5", bad},
	{"+ 5", bad},
	{"+-5", bad},
	{"-5", bad},
	{"1,5", bad},
	{"0x10", bad},
	{"1e3", bad},
	{"5u", bad},
	{"5mins", bad},
	{"5secs", bad},
	{"infinity x", bad},
	{"infinity5", bad},
	{"soon", bad},
	{"٣", bad},
}

func TestSpans(t *testing.T) {
	for _, span := range spans {
		t.Run(span.text, func(t *testing.T) {
			usec, err := unitfile.ParseSpan(span.text)
			switch {
			case span.usec == bad:
				if !errors.Is(err, unitfile.ErrSyntax) || !strings.Contains(err.Error(), strconv.Quote(span.text)) {
					t.Errorf("%d, error %v, want one that names %q", usec, err, span.text)
				}
			case err != nil || usec != span.usec:
				t.Errorf("%d, error %v, want %d", usec, err, span.usec)
			}
		})
	}
}

func FuzzSpan(f *testing.F) {
	for _, span := range spans {
		f.Add(span.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		usec, err := unitfile.ParseSpan(text)
		if err != nil {
			return
		}
		if again, err := unitfile.ParseSpan(" " + text + "\n"); err != nil || again != usec {
			t.Errorf("%q: %d, and amid whitespace %d, error %v", text, usec, again, err)
		}
		if usec <= math.MaxInt64 {
			if again, err := unitfile.ParseSpan(strconv.FormatUint(usec, 10) + "us"); err != nil || again != usec {
				t.Errorf("%q: %d, and as such %d, error %v", text, usec, again, err)
			}
		}
	})
}
