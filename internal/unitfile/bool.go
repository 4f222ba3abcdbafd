package unitfile

import (
	"fmt"
	"strings"
)

// ParseBool takes 1, yes, y, true, t and on for true, and 0, no, n, false, f
// and off for false, in letters of any size, as parse_boolean of systemd does.
// The error matches [ErrSyntax].
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no: %w", text, ErrSyntax)
}
