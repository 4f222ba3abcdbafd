package manager

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// assignments yields what a file of systemd.syntax(7) assigns in the section, in its order, with the same rules as
// config_parse of systemd. Those of go-systemd's unit.DeserializeOptions are others: it leaves the backslash in a line that
// goes on, lets comments go on as well, and refuses a whole file for one long line.
func assignments(text, section string) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		within := false
		for line := range logicalLines(text) {
			if header, found := strings.CutPrefix(line, "["); found {
				name, closed := strings.CutSuffix(header, "]")
				if !closed {
					return // systemd reads no further
				}
				within = name == section
				continue
			}
			key, value, found := strings.Cut(line, "=")
			if within && found && !yield(strings.Trim(key, whitespace), strings.Trim(value, whitespace)) {
				return
			}
		}
	}
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\n")

// logicalLines yields lines without the whitespace around them: those that a backslash at the end makes one are put together,
// and comments, even amid such a line, and what is not UTF-8 are left out.
func logicalLines(text string) iter.Seq[string] {
	return func(yield func(line string) bool) {
		text = lineEnds.Replace(strings.TrimPrefix(text, "\ufeff"))
		begun := ""
		for line := range strings.SplitSeq(text, "\n") {
			if start := strings.TrimLeft(line, whitespace); start != "" && strings.ContainsAny(start[:1], "#;") {
				continue
			}
			line = begun + line
			if goesOn(line) {
				begun = line[:len(line)-1] + " "
				continue
			}
			begun = ""
			if line = strings.Trim(line, whitespace); utf8.ValidString(line) && !yield(line) {
				return
			}
		}
		if line := strings.Trim(begun, whitespace); utf8.ValidString(line) {
			yield(line)
		}
	}
}

// goesOn reports whether the line ends in a backslash that is not itself escaped by one.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}
