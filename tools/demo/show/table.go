package show

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Table compares. Its first column is of names.
type Table struct {
	Title string
	Head  []string
	Rows  []Row
	Notes []string
}

// A Row is one of a table.
type Row struct {
	Name  string
	Cells []string
}

// String is the table as text, which ends with a newline.
func (t Table) String() string {
	first, widths := 0, make([]int, len(t.Head))
	for _, row := range t.Rows {
		first = max(first, utf8.RuneCountInString(row.Name))
		for i, cell := range row.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %-*s", t.Title, first, "")
	for i, name := range t.Head {
		widths[i] = max(widths[i], utf8.RuneCountInString(name))
		fmt.Fprintf(&b, "  %*s", widths[i], name)
	}
	for _, row := range t.Rows {
		fmt.Fprintf(&b, "\n  %-*s", first, row.Name)
		for i, cell := range row.Cells {
			fmt.Fprintf(&b, "  %*s", widths[i], cell)
		}
	}
	b.WriteString("\n")
	for _, note := range t.Notes {
		b.WriteString(wrapped(note))
	}
	return b.String()
}

// wrapped is a note on lines of its own, the first of which begins further
// left.
func wrapped(note string) string {
	var b strings.Builder
	line := " "
	for word := range strings.FieldsSeq(note) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > plainColumns {
			b.WriteString(line + "\n")
			line = "   "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
