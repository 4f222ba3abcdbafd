package unitfile

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Infinity is what [ParseSpan] and [ParseSize] return for "infinity": no limit.
const Infinity uint64 = math.MaxUint64

// ParseSpan returns a time span of systemd.time(7) in microseconds. A number
// without a unit counts seconds. It takes and refuses the same as parse_sec of
// systemd. What 0 means differs from setting to setting: to some, such as
// TimeoutStopSec=, it is infinity too. The error matches [ErrSyntax].
func ParseSpan(text string) (usec uint64, err error) {
	rest := strings.TrimLeft(text, whitespace)
	if after, found := strings.CutPrefix(rest, "infinity"); found && strings.Trim(after, whitespace) == "" {
		return Infinity, nil
	}
	if rest == "" {
		return 0, fmt.Errorf("%q is no time span: %w", text, ErrSyntax)
	}
	var total uint64
	for rest != "" {
		more, after, ok := cutSpan(rest)
		if !ok || more >= Infinity-total {
			return 0, fmt.Errorf("%q is no time span: %w", text, ErrSyntax)
		}
		total += more
		rest = strings.TrimLeft(after, whitespace)
	}
	return total, nil
}

// cutSpan cuts off a number with its unit. The number may have a sign, which
// must be a plus, and needs a digit after its point, but not before.
func cutSpan(text string) (usec uint64, rest string, ok bool) {
	unsigned := strings.TrimPrefix(text, "+")
	whole, after := cutDigits(unsigned)
	fraction := ""
	if tail, dotted := strings.CutPrefix(after, "."); dotted && (whole != "" || unsigned == text) {
		whole = cmp.Or(whole, "0")
		if fraction, after = cutDigits(tail); fraction == "" {
			return 0, "", false
		}
	}
	unit, rest := cutUnit(strings.TrimLeft(after, whitespace))
	if rest == after && rest != "" {
		return 0, "", false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || uint64(n) >= Infinity/unit {
		return 0, "", false
	}
	usec = uint64(n) * unit
	for _, digit := range fraction {
		unit /= 10
		usec += uint64(digit-'0') * unit
	}
	return usec, rest, true
}

func cutDigits(text string) (digits, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(rest)], rest
}

// spanUnits are in the order in which systemd tries them (extract_multiplier):
// the first that fits is taken.
var spanUnits = [...]struct {
	name string
	unit time.Duration
}{
	{"seconds", time.Second}, {"second", time.Second}, {"sec", time.Second}, {"s", time.Second},
	{"minutes", time.Minute}, {"minute", time.Minute}, {"min", time.Minute},
	{"months", month}, {"month", month}, {"M", month},
	{"msec", time.Millisecond}, {"ms", time.Millisecond},
	{"m", time.Minute},
	{"hours", time.Hour}, {"hour", time.Hour}, {"hr", time.Hour}, {"h", time.Hour},
	{"days", day}, {"day", day}, {"d", day},
	{"weeks", 7 * day}, {"week", 7 * day}, {"w", 7 * day},
	{"years", 12 * month}, {"year", 12 * month}, {"y", 12 * month},
	{"usec", time.Microsecond}, {"us", time.Microsecond}, {"μs", time.Microsecond}, {"µs", time.Microsecond},
}

// A year has 365.25 days.
const (
	day   = 24 * time.Hour
	month = 36525 * day / 1200
)

// cutUnit returns how many microseconds the unit has that the text begins with:
// those of a second if there is none.
func cutUnit(text string) (unit uint64, rest string) {
	for _, u := range spanUnits {
		if rest, found := strings.CutPrefix(text, u.name); found {
			return uint64(u.unit.Microseconds()), rest
		}
	}
	return uint64(time.Second.Microseconds()), text
}
