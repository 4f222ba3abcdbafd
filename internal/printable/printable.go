// Package printable makes text from outside fit to be shown, such as the reason
// that a successor gives for its failure: it is UTF-8, does nothing to a
// terminal, and has an end.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Max bounds a text, in bytes, less the three of an ellipsis.
const Max = 4 << 10

// Text keeps the lines of text, and up to [Max] bytes. A character that does
// not print becomes U+FFFD.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			return r
		case r == '\r':
			return -1
		case r == '\u200c' || r == '\u200d': // part of how some scripts are written
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return utf8.RuneError
	}, Clip(text, Max))
}

// OneLine is [Text] without line breaks, tabs and needless spaces, and with up
// to most bytes.
func OneLine(text string, most int) string {
	return Clip(strings.Join(strings.Fields(Text(text)), " "), most)
}

// Clip cuts a text of more than most bytes between two characters, and adds an
// ellipsis.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "..."
}
