package scale

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// The plot, in pixels: panels above each other, and the names of the lines at
// their right.
const (
	plotWidth, panelHeight      = 860, 260
	left, right, above, beneath = 70, 250, 34, 40
	nameHeight                  = 18
)

// colours can be told apart by those who see red and green as one: the palette
// of Okabe and Ito, without yellow.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"}

// Plot draws the medians of the results, and the lines of Slopes through them
// from the first crowd to the last, as SVG. It has a panel for each measure.
func Plot(results []*Result) string {
	most, names := 0, map[string]bool{}
	for _, r := range results {
		if len(r.Rounds) > 0 {
			most = max(most, r.Connections)
			names[r.name()] = true
		}
	}
	height := max(panelHeight, above+beneath+nameHeight*len(names))
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		plotWidth, height*len(measures), height*len(measures))
	fmt.Fprint(&b, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n")
	for i, m := range measures {
		fmt.Fprintf(&b, "<g transform=\"translate(0 %d)\">\n", i*height)
		(&panel{&b, float64(height), float64(most), 0}).draw(m, linesOf(results, m))
		fmt.Fprint(&b, "</g>\n")
	}
	fmt.Fprint(&b, "</svg>\n")
	return b.String()
}

// A panel is the diagram of one measure.
type panel struct {
	b      *strings.Builder
	height float64
	x, y   float64 // what the ends of the axes stand for
}

func (p *panel) draw(m measure, lines []line) {
	for _, l := range lines {
		for _, at := range l.points {
			p.y = max(p.y, at.value)
		}
	}
	p.x, p.y = max(p.x, 1), max(p.y, 1e-3)
	p.text(left, 20, "", fmt.Sprintf("%s, %s", m.name, m.unit))
	for _, at := range ticks(p.y) {
		y := p.down(at)
		p.line(left, y, plotWidth-right, y, "#ddd")
		p.text(left-6, y+4, "end", number(at))
	}
	for _, at := range ticks(p.x) {
		p.text(p.along(at), p.height-beneath+16, "middle", number(at))
	}
	p.line(left, p.height-beneath, plotWidth-right, p.height-beneath, "#000")
	p.text((left+plotWidth-right)/2, p.height-beneath+32, "middle", "connections")
	for i, l := range lines {
		p.drawLine(i, l, m)
	}
}

// drawLine draws the points of a line, the straight line through them if there
// are several, and its name with the slope.
func (p *panel) drawLine(i int, l line, m measure) {
	colour := colours[i%len(colours)]
	for _, at := range l.points {
		fmt.Fprintf(p.b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", p.along(at.connections), p.down(at.value), colour)
	}
	name := l.name
	if start, slope, ok := fit(l.points); ok {
		first, last := l.points[0].connections, l.points[len(l.points)-1].connections
		p.line(p.along(first), p.down(start+slope*first), p.along(last), p.down(start+slope*last), colour)
		name += fmt.Sprintf(": %.2f %s each", slope*m.factor, m.each)
	}
	y := float64(above + nameHeight*i)
	fmt.Fprintf(p.b, "<circle cx=\"%d\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", plotWidth-right+22, y+8, colour)
	p.text(plotWidth-right+32, y+12, "", name)
}

func (p *panel) along(x float64) float64 { return left + x/p.x*(plotWidth-left-right) }

func (p *panel) down(y float64) float64 {
	return p.height - beneath - y/p.y*(p.height-above-beneath)
}

func (p *panel) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(p.b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour)
}

// text writes what may have any characters: the names of programs are files'.
func (p *panel) text(x, y float64, anchor, text string) {
	if anchor != "" {
		anchor = fmt.Sprintf(" text-anchor=\"%s\"", anchor)
	}
	fmt.Fprintf(p.b, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, anchor)
	_ = xml.EscapeText(p.b, []byte(text)) // a Builder takes all
	fmt.Fprint(p.b, "</text>\n")
}

// ticks returns round numbers from 0 to most, some four of them.
func ticks(most float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, times := range []float64{1, 2, 5, 10} {
		if most/(step*times) < 6 {
			step *= times
			break
		}
	}
	var at []float64
	for i := 0; float64(i)*step <= most*(1+1e-9); i++ {
		at = append(at, float64(i)*step)
	}
	return at
}

// number is short, and has a comma between thousands.
func number(x float64) string {
	if x < 1000 {
		return fmt.Sprintf("%.4g", x)
	}
	return fmt.Sprintf("%d,%03d", int(x)/1000, int(x)%1000)
}
