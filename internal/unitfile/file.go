package unitfile

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// An Assignment is one setting in a file: "Name=Value" below "[Section]".
type Assignment struct {
	Section, Name string
	Value         string // without the whitespace around it, and with one space for each end of a line that goes on
	Path          string // the file it is in
	Line          int    // where it begins, counted from 1
}

// A Problem is something in a file that systemd passes over, with a warning in
// its log.
type Problem struct {
	Path string
	Line int // where it begins, counted from 1
	Text string
	// Fatal says that systemd reads no further in this file. A unit whose own
	// file it is cannot be loaded then ("systemctl show" says LoadState=error);
	// of a drop-in, what comes before still counts.
	Fatal bool
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text) }

// A File is what one file says.
type File struct {
	Path        string
	Assignments []Assignment // in their order
	Problems    []Problem    // in their order
}

// longest is LONG_LINE_MAX of systemd, in bytes.
const longest = 1 << 20

const whitespace = " \t\n\r"

// Parse reads a file of systemd.syntax(7) with the rules of config_parse of
// systemd. It never fails: what is wrong is a Problem. The path is not opened,
// it is for the answer. go-systemd's unit.DeserializeOptions has other rules:
// it leaves the backslash in a line that goes on, lets comments go on as well,
// and refuses a whole file for one long line.
func Parse(path, text string) File {
	p := parser{file: File{Path: path}}
	p.parse(text)
	return p.file
}

type parser struct {
	file    File
	section string
	within  bool // a section
}

// parse puts together the lines that a backslash at the end makes one, and
// leaves out comments, even amid such a line.
func (p *parser) parse(text string) {
	var begun []byte
	start := 0 // where begun begins, or 0 if there is none
	marked := false
	for number := 1; text != ""; number++ {
		var line string
		line, text = cutLine(text)
		if len(line) >= longest || start > 0 && len(begun)+len(line) > longest {
			p.problem(number, "the line is longer than systemd reads", true)
			return
		}
		if isComment(line) {
			continue
		}
		// The mark is left out once, but not only at the beginning of the file,
		// and what follows it is no comment.
		if !marked {
			line, marked = strings.CutPrefix(line, "\ufeff")
		}
		if start == 0 {
			start = number
		}
		begun = append(begun, line...)
		if goesOn(line) {
			begun[len(begun)-1] = ' '
			continue
		}
		if !p.line(start, string(begun)) {
			return
		}
		begun, start = begun[:0], 0
	}
	if start > 0 {
		p.line(start, string(begun))
	}
}

// cutLine cuts off a line and its end: \n, \r or NUL, or several of them, each
// once, with NUL as the last (read_line_full).
func cutLine(text string) (line, rest string) {
	const ends = "\n\r\x00"
	end := strings.IndexAny(text, ends)
	if end < 0 {
		return text, ""
	}
	line, rest = text[:end], text[end:]
	n := 1
	for n < len(rest) && rest[n-1] != 0 && strings.IndexByte(ends, rest[n]) >= 0 && strings.IndexByte(rest[:n], rest[n]) < 0 {
		n++
	}
	return line, rest[n:]
}

func isComment(line string) bool {
	line = strings.TrimLeft(line, whitespace)
	return line != "" && (line[0] == '#' || line[0] == ';')
}

// goesOn reports whether the line ends in a backslash that is not itself
// escaped by one.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// line takes a line that is whole, and reports whether systemd reads on.
func (p *parser) line(number int, line string) bool {
	line = strings.Trim(line, whitespace)
	if line == "" {
		return true
	}
	if !isUTF8(line) {
		return p.problem(number, "the line is not UTF-8", true)
	}
	if line[0] == '[' {
		return p.header(number, line)
	}
	if !p.within {
		return p.problem(number, fmt.Sprintf("%q is outside of a section", brief(line)), false)
	}
	name, value, found := strings.Cut(line, "=")
	switch {
	case (!found || name == "") && strings.HasPrefix(p.section, "X-"):
		// Nobody reads those sections.
		return true
	case !found:
		return p.problem(number, fmt.Sprintf(`%q has no "="`, brief(line)), false)
	case name == "":
		return p.problem(number, fmt.Sprintf(`%q has no name before the "="`, brief(line)), false)
	}
	p.file.Assignments = append(p.file.Assignments, Assignment{
		Section: p.section,
		Name:    strings.Trim(name, whitespace),
		Value:   strings.Trim(value, whitespace),
		Path:    p.file.Path,
		Line:    number,
	})
	return true
}

func (p *parser) header(number int, line string) bool {
	name, closed := strings.CutSuffix(line[1:], "]")
	if !closed {
		return p.problem(number, fmt.Sprintf(`the section header %q does not end in "]"`, brief(line)), true)
	}
	// Up to 257 an empty name was that of an unknown section.
	if name == "" || !isSafe(name) {
		return p.problem(number, fmt.Sprintf("the section header %q is empty, or has a quote, a backslash or a control character", brief(line)), true)
	}
	p.section, p.within = name, true
	return true
}

// problem notes it, and reports whether systemd reads on.
func (p *parser) problem(line int, text string, fatal bool) bool {
	p.file.Problems = append(p.file.Problems, Problem{Path: p.file.Path, Line: line, Text: text, Fatal: fatal})
	return !fatal
}

// brief returns the beginning of a line that may be very long.
func brief(line string) string {
	const most = 60
	if len(line) <= most {
		return line
	}
	// A character that is cut in two is left out.
	return strings.ToValidUTF8(line[:most], "") + "…"
}

// isSafe is string_is_safe.
func isSafe(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || strings.ContainsRune("\"'\\\x7f", r) })
}

// isUTF8 is utf8_is_valid, which also refuses what Unicode calls noncharacters.
func isUTF8(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !isCharacter(r) })
}

// isCharacter is unichar_is_valid.
func isCharacter(r rune) bool {
	return utf8.ValidRune(r) && r&0xfffe != 0xfffe && (r < 0xfdd0 || r > 0xfdef)
}
