package printable

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Table writes lines of a name and a text, in two columns. Each is one line,
// whatever is in it.
type Table struct{ w *tabwriter.Writer }

// NewTable makes a Table that is written to out by Flush.
func NewTable(out io.Writer) Table { return Table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

// Line adds a line.
func (t Table) Line(name, format string, args ...any) {
	fmt.Fprintf(t.w, "%s\t%s\n", OneLine(name, Max), OneLine(fmt.Sprintf(format, args...), Max))
}

// Flush writes the lines.
func (t Table) Flush() error { return t.w.Flush() }
