package show

import (
	_ "embed" // the page's template
	"errors"
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

// A Document is what a page says.
type Document struct {
	Title, Lead string
	Result      string // the one line
	Failed      bool   // what the line says is bad
	Tables      []Table
	Acts        []*Act
}

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

// A Page is the file that a document goes into: nil if there is none. It takes its name when it is complete.
type Page struct {
	file *os.File // nil once it is written
	path string
}

// CreatePage makes sure that a page can be written. An empty path is for none.
func CreatePage(path string) (*Page, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".demo-*.html")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return &Page{file, path}, nil
}

// Write writes the page and closes it.
func (p *Page) Write(d Document) error {
	if p == nil {
		return nil
	}
	text, err := d.render()
	if err != nil {
		return err
	}
	_, err = p.file.WriteString(text)
	if err = errors.Join(err, p.file.Chmod(0o644), p.file.Close(), err); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	p.file = nil
	return nil
}

// Discard removes a page that was not written.
func (p *Page) Discard() error {
	if p == nil || p.file == nil {
		return nil
	}
	_ = p.file.Close()
	return os.Remove(p.file.Name())
}

// The sizes of the pictures, in the units of their own.
const (
	pictureWidth  = 960
	pictureLeft   = 52 // of the plot
	pictureRight  = 8
	rowHeight     = 22
	axisHeight    = 24
	latencyHeight = 200
	pageSlots     = 180
)

// A figure is an act as the page shows it.
type figure struct {
	Name, About string
	Verb        string
	Label       string // of the picture, for who does not see it
	Width       int
	Left, Right int
	Height      int // of the timeline
	Bottom      int // of its rows
	Rows        []figureRow
	Broken      []mark
	Replaced    []stretch
	Seconds     []mark
	Latency     latencyFigure
	Table       []Row
	Clients     []clientsRow
}

type figureRow struct {
	Generation, Colour int
	Middle             int // where its number stands
	Path               string
}

type mark struct {
	X, Y float64
	Text string
}

type stretch struct{ X, Width float64 }

type latencyFigure struct {
	Height, Bottom int
	Lines          []mark // of the scale
	Bars           []latencyBar
	Numbers        []mark
}

type latencyBar struct {
	Kind             int // which window
	X, Median, Worst float64
	Title            string
}

type clientsRow struct {
	Class                         string
	Clients, Requests             int
	Broken, Connections           int
	Median, NinetyNinth, Greatest string
}

// render is the page. It is well-formed XML as well.
func (d Document) render() (string, error) {
	parsed, err := template.New("page").Parse(pageText)
	if err != nil {
		return "", err
	}
	data := struct {
		Document
		Figures []figure
	}{Document: d}
	for _, a := range d.Acts {
		data.Figures = append(data.Figures, a.figure())
	}
	var b strings.Builder
	err = parsed.Execute(&b, data)
	return b.String(), err
}

func (a *Act) figure() figure {
	t := a.timeline(pageSlots)
	bottom := len(t.rows) * rowHeight
	f := figure{
		Name: a.Name, About: a.About, Verb: a.Verb,
		Label: fmt.Sprintf("%s: requests answered by each of %d generations over time", a.Name, len(t.rows)),
		Width: pictureWidth, Left: pictureLeft, Right: pictureWidth - pictureRight,
		Height: bottom + axisHeight, Bottom: bottom,
		Latency: a.latencyFigure(),
	}
	for i, row := range t.rows {
		f.Rows = append(f.Rows, figureRow{
			Generation: i + 1,
			Colour:     i % 5,
			Middle:     i*rowHeight + rowHeight - 5,
			Path:       silhouette(row, t.most, float64((i+1)*rowHeight)),
		})
	}
	for slot, n := range t.broken {
		if n > 0 {
			f.Broken = append(f.Broken, mark{X: slotX(float64(slot)), Text: fmt.Sprint(n)})
		}
	}
	for _, r := range a.replaced {
		x := slotX(float64(r.began) / float64(t.slot))
		f.Replaced = append(f.Replaced, stretch{x, max(slotX(float64(r.ended)/float64(t.slot))-x, 1)})
	}
	end := time.Duration(pageSlots) * t.slot
	step := (end / 10).Truncate(time.Second) + time.Second
	for at := time.Duration(0); at < end; at += step {
		f.Seconds = append(f.Seconds, mark{X: slotX(float64(at) / float64(t.slot)), Text: fmt.Sprintf("%.0f s", at.Seconds())})
	}
	f.addTables(a)
	return f
}

// addTables adds what the text says too.
func (f *figure) addTables(a *Act) {
	each, all := a.latencies()
	for i, l := range each {
		f.Table = append(f.Table, Row{fmt.Sprint(a.replaced[i].generation), l.cells()})
	}
	f.Table = append(f.Table, Row{"all", all.cells()})
	for _, c := range a.report.ByClass {
		f.Clients = append(f.Clients, clientsRow{
			string(c.Class), c.Clients, c.Requests, c.Broken, c.Connections,
			milliseconds(c.Latency.P50), milliseconds(c.Latency.P99), milliseconds(c.Latency.Max),
		})
	}
}

// slotX is where a slot of the page's timeline begins.
func slotX(slot float64) float64 {
	return rounded(pictureLeft + slot*(pictureWidth-pictureLeft-pictureRight)/pageSlots)
}

func rounded(x float64) float64 { return math.Round(x*10) / 10 }

// silhouette is the outline of a row's bars above base. It leaves out where there is nothing.
func silhouette(row []int, most int, base float64) string {
	var b strings.Builder
	for slot := 0; slot < len(row); slot++ {
		if row[slot] == 0 {
			continue
		}
		fmt.Fprintf(&b, "M%g %g", slotX(float64(slot)), base)
		for ; slot < len(row) && row[slot] > 0; slot++ {
			height := max(2, float64(rowHeight-3)*float64(row[slot])/float64(max(most, 1)))
			fmt.Fprintf(&b, "V%gH%g", rounded(base-height), slotX(float64(slot+1)))
		}
		fmt.Fprintf(&b, "V%gZ", base)
	}
	return b.String()
}

// latencyFigure has three bars for each replacement, from the median up to the worst, on a scale of powers of ten.
func (a *Act) latencyFigure() latencyFigure {
	f := latencyFigure{Height: latencyHeight + axisHeight, Bottom: latencyHeight}
	each, _ := a.latencies()
	least, most := 100*time.Microsecond, time.Millisecond
	for _, l := range each {
		for _, w := range l.windows {
			for w.worst > most {
				most *= 10
			}
			for w.requests > 0 && w.median < least {
				least /= 10
			}
		}
	}
	y := func(d time.Duration) float64 {
		share := math.Log(float64(max(d, least))/float64(least)) / math.Log(float64(most)/float64(least))
		return rounded(latencyHeight - share*(latencyHeight-12))
	}
	for d := least; d <= most; d *= 10 {
		f.Lines = append(f.Lines, mark{Y: y(d), Text: fmt.Sprintf("%v", d)})
	}
	group := float64(pictureWidth-pictureLeft-pictureRight) / float64(max(len(each), 1))
	for i, l := range each {
		left := pictureLeft + float64(i)*group
		f.Numbers = append(f.Numbers, mark{X: rounded(left + group/2), Text: fmt.Sprint(a.replaced[i].generation)})
		for kind, w := range l.windows {
			if w.requests == 0 {
				continue
			}
			f.Bars = append(f.Bars, latencyBar{
				Kind: kind, X: rounded(left + group*float64(kind+1)/4), Median: y(w.median), Worst: y(w.worst),
				Title: fmt.Sprintf("%s ms median, %s ms worst of %d", milliseconds(w.median), milliseconds(w.worst), w.requests),
			})
		}
	}
	return f
}
