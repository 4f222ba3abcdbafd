package unitfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrRelative is matched by the error of [ParseSize] for a share of the
// machine's memory, such as "50%".
var ErrRelative = errors.New("relative to the memory of the machine")

type sizeUnit struct {
	name   string
	factor uint64
}

// sizeUnits are in the order in which they may follow each other, and the last
// is that of a number without a unit.
var sizeUnits = [...]sizeUnit{{"E", 1 << 60}, {"P", 1 << 50}, {"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1}, {"", 1}}

// ParseSize returns an amount of memory, such as "1.5G" or "1G 512M", in bytes,
// as MemoryMax= and its kin take it: [Infinity] for "infinity". It takes and
// refuses the same as config_parse_memory_limit of systemd, except that what 0
// and an empty value mean, or whether they are allowed, differs from setting to
// setting: 0 is returned, and an empty text is an error. The error matches
// [ErrSyntax], or [ErrRelative].
func ParseSize(text string) (bytes uint64, err error) {
	if text == "infinity" {
		return Infinity, nil
	}
	if isShare(text) {
		return 0, fmt.Errorf("%q is %w", text, ErrRelative)
	}
	units := sizeUnits[:]
	for rest := text; ; {
		var more uint64
		var ok bool
		if more, rest, units, ok = cutSize(strings.TrimLeft(rest, whitespace), units); !ok || more >= Infinity-bytes {
			return 0, fmt.Errorf("%q is no size: %w", text, ErrSyntax)
		}
		bytes += more
		if rest == "" {
			return bytes, nil
		}
	}
}

// cutSize cuts off a number with its unit, and returns the units that may come
// next (parse_size).
func cutSize(text string, units []sizeUnit) (bytes uint64, rest string, next []sizeUnit, ok bool) {
	digits, rest := cutDigits(strings.TrimPrefix(text, "+"))
	whole, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, "", nil, false
	}
	fraction := 0.0
	if after, dotted := strings.CutPrefix(rest, "."); dotted {
		digits, rest = cutDigits(after)
		if fraction, ok = parseFraction(digits); !ok {
			return 0, "", nil, false
		}
	}
	rest = strings.TrimLeft(rest, whitespace)
	for i, unit := range units {
		after, found := strings.CutPrefix(rest, unit.name)
		if !found {
			continue
		}
		most := whole
		if fraction > 0 {
			most++
		}
		bytes = whole*unit.factor + uint64(fraction*float64(unit.factor))
		return bytes, after, units[i+1:], most >= whole && most <= Infinity/unit.factor
	}
	return 0, "", nil, false
}

// parseFraction returns what the digits after the point stand for. There may be
// none.
func parseFraction(digits string) (fraction float64, ok bool) {
	if digits == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	fraction = float64(n)
	for range digits {
		fraction /= 10
	}
	return fraction, err == nil
}

// isShare reports whether the text is a number of hundredths with up to two
// places, of thousandths with one, or of ten-thousandths, and no more than all
// (parse_permyriad).
func isShare(text string) bool {
	for places, sign := range [...]string{"‱", "‰", "%"} {
		number, found := strings.CutSuffix(text, sign)
		if !found {
			continue
		}
		whole, fraction, dotted := strings.Cut(number, ".")
		if len(fraction) > places || dotted && fraction == "" || strings.Trim(fraction, "0123456789") != "" {
			return false
		}
		// The whole number may be hexadecimal and the like (safe_atoi).
		n, err := strconv.ParseInt(strings.TrimLeft(whole, whitespace), 0, 32)
		for place := range places {
			n *= 10
			if place < len(fraction) {
				n += int64(fraction[place] - '0')
			}
		}
		return err == nil && n >= 0 && n <= 10000 && !strings.Contains(whole, "_")
	}
	return false
}
