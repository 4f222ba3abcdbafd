package figures

import (
	"fmt"
	"strings"
)

// Markdown is a table of the broken requests, and lists of what its rows count
// and what its figures are.
func (t Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Broken requests, %d times each: refused + closed + cut\n\n", t.Rounds)
	peers := t.peers()
	line(&b, "", peers)
	fmt.Fprintf(&b, "| --- |%s\n", strings.Repeat(" ---: |", len(peers)))
	for _, row := range t.Rows {
		var cells []string
		for _, peer := range peers {
			text := "-"
			if c, ok := row.cell(peer); ok {
				text = c.Text(t.Rounds)
			}
			cells = append(cells, text)
		}
		line(&b, row.Name, cells)
	}
	b.WriteString("\nWhat each row counts:\n\n")
	for _, row := range t.Rows {
		fmt.Fprintf(&b, "- %s: %s\n", row.Name, row.Counts)
	}
	b.WriteString("\nHow a request breaks:\n\n")
	for _, k := range t.Kinds {
		fmt.Fprintf(&b, "- %s: %s\n", k.Name, k.Means)
	}
	if len(t.Notes) > 0 {
		fmt.Fprintf(&b, "\nWhat is not the same for all:\n\n- %s\n", strings.Join(t.Notes, "\n- "))
	}
	return b.String()
}

// line is one line of a table.
func line(b *strings.Builder, name string, cells []string) {
	for _, cell := range append([]string{name}, cells...) {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(cell, "|", `\|`))
	}
	b.WriteString("|\n")
}
