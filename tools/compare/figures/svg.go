package figures

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// The picture in pixels: a panel for each row, which has a line for each
// service.
const (
	width    = 960
	margin   = 24
	barLeft  = 130 // where bars begin, right of the names
	barMost  = 400 // the longest one
	barLeast = 1   // one that is there
	barHigh  = 12
	lineHigh = 20
	headHigh = 74 // of the picture
	rowHead  = 52 // of a panel
	rowFoot  = 18
)

// colors are those of Kinds, and of what was answered wrongly. They differ in
// lightness as well, for whoever does not see colors.
var colors = []string{"#7f1d1d", "#e07a1f", "#c81e4b", "#555555"}

// SVG is the table as a picture of bars, whose length is the number of broken
// requests: within a panel on one scale, and so not between panels. It needs no
// other file.
func (t Table) SVG() string {
	peers := t.peers()
	panel := rowHead + len(peers)*lineHigh + rowFoot
	high := headHigh + len(t.Rows)*panel
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13" fill="#222">`+"\n", width, high)
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, high)
	t.legend(&b)
	for i, row := range t.Rows {
		fmt.Fprintf(&b, "<g class=\"row\" transform=\"translate(0 %d)\">\n", headHigh+i*panel)
		t.panel(&b, row, peers)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// legend is the title, and what the colors are.
func (t Table) legend(b *strings.Builder) {
	label(b, margin, 30, `font-size="18" font-weight="bold"`, fmt.Sprintf("Broken requests, %d times each", t.Rounds))
	names := make([]string, 0, len(colors))
	for _, k := range t.Kinds {
		names = append(names, k.Name)
	}
	x := margin
	for i, name := range append(names, "answered wrongly") {
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"46\" width=\"%d\" height=\"%[2]d\" fill=\"%s\"/>\n", x, barHigh, colors[min(i, len(colors)-1)])
		label(b, x+barHigh+6, 57, "", name)
		x += 50 + 8*len(name)
	}
}

// panel is a row: its name, what it counts, and the lines.
func (t Table) panel(b *strings.Builder, row Row, peers []string) {
	most := 1
	for _, c := range row.Cells {
		most = max(most, c.Broken)
	}
	fmt.Fprintf(b, "<line x1=\"%d\" x2=\"%d\" stroke=\"#ccc\"/>\n", margin, width-margin)
	label(b, margin, 22, `class="name" font-size="15" font-weight="bold"`, row.Name)
	label(b, margin, 39, `class="counts" font-size="11" fill="#666"`, row.Counts)
	for i, peer := range peers {
		fmt.Fprintf(b, "<g class=\"peer\" transform=\"translate(0 %d)\">\n", rowHead+i*lineHigh)
		label(b, margin, 11, `class="name"`, peer)
		c, ok := row.cell(peer)
		switch {
		case !ok:
			label(b, barLeft, 11, `class="figures" fill="#999"`, "not asked")
		default:
			end := barLeft + c.bar(b, most)
			label(b, end, 11, `class="figures"`+map[bool]string{true: ` fill="#15803d" font-weight="bold"`}[c.Broken == 0], c.Text(t.Rounds))
		}
		b.WriteString("</g>\n")
	}
}

// bar is one bar, with a part for each kind. It returns how far right of it
// text begins.
func (c Cell) bar(b *strings.Builder, most int) int {
	x := 0.0
	for i, n := range append(c.kinds(), c.wrong()) {
		if n == 0 {
			continue
		}
		long := max(barLeast, float64(n)/float64(most)*barMost)
		fmt.Fprintf(b, "<rect x=\"%.2f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>\n", barLeft+x, long, barHigh, colors[i])
		x += long
	}
	if x == 0 {
		return 0
	}
	return int(x) + 8
}

// label is a text that begins at a point.
func label(b *strings.Builder, x, y int, more, text string) {
	if more != "" {
		more = " " + more
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\"%s>", x, y, more)
	_ = xml.EscapeText(b, []byte(text)) // a Builder has no errors
	b.WriteString("</text>\n")
}
