package figures_test

import (
	"encoding/json"
	"encoding/xml"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/tools/compare/figures"
)

// table has names that XML and Markdown would take for something else.
func table() figures.Table {
	return figures.Table{Rounds: 10, Kinds: figures.Kinds(), Notes: []string{"one differs"}, Rows: []figures.Row{
		{Name: "keep-alive", Counts: "50 clients & <their> connections", Systemd: "262", Cells: []figures.Cell{
			{Peer: "heirloom", Rounds: 10, Requests: 20000, Connections: 50, Slowest: 12 * time.Millisecond},
			{Peer: "a<b>&\"c", Rounds: 7, Requests: 20000, Broken: 370, Refused: 100, Closed: 200, Cut: 50, Connections: 450},
		}},
		{Name: "this | that", Counts: "others", Systemd: "262", Cells: []figures.Cell{
			{Peer: "heirloom", Rounds: 10, Requests: 9, Broken: 2, Cut: 2, Killed: 2},
			{Peer: "alone", Rounds: 10, Requests: 9, Broken: 8, Closed: 6, Cut: 2},
		}},
	}}
}

// The texts of the cells, by row and service.
func texts() map[string]map[string]string {
	return map[string]map[string]string{
		"keep-alive":  {"heirloom": "0", "a<b>&\"c": "100+200+50+20 answered wrongly (failed after 7)", "alone": ""},
		"this | that": {"heirloom": "0+0+2", "a<b>&\"c": "", "alone": "0+6+2"},
	}
}

// TestMarkdown reads the table back.
func TestMarkdown(t *testing.T) {
	text := table().Markdown()
	got, peers := map[string]map[string]string{}, []string(nil)
	for line := range strings.Lines(text) {
		line, isRow := strings.CutPrefix(strings.TrimSuffix(line, " |\n"), "| ")
		if !isRow || strings.HasPrefix(line, "---") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), " | ")
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "\x00", "|")
		}
		if peers == nil {
			peers = cells[1:]
			continue
		}
		got[cells[0]] = map[string]string{}
		for i, peer := range peers {
			got[cells[0]][peer] = strings.TrimPrefix(cells[i+1], "-")
		}
	}
	if want := texts(); !reflect.DeepEqual(got, want) {
		t.Errorf("the table has %q, want %q:\n%s", got, want, text)
	}
	for _, k := range figures.Kinds() {
		if want := "- " + k.Name + ": " + k.Means + "\n"; !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	for _, want := range []string{"- this | that: others\n", "- one differs\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// TestJSON reads the table back.
func TestJSON(t *testing.T) {
	text, err := table().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got figures.Table
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if want := table(); !reflect.DeepEqual(got, want) {
		t.Errorf("the table is %+v, want %+v", got, want)
	}
}

// A group is a g of SVG, or the whole.
type group struct {
	Class  string  `xml:"class,attr"`
	Groups []group `xml:"g"`
	Texts  []struct {
		Class string `xml:"class,attr"`
		Text  string `xml:",chardata"`
	} `xml:"text"`
	Bars []struct {
		Width float64 `xml:"width,attr"`
	} `xml:"rect"`
}

func (g group) text(class string) string {
	for _, text := range g.Texts {
		if text.Class == class {
			return text.Text
		}
	}
	return ""
}

// TestSVG reads the picture as XML: it has each row and each service, with the
// same figures, and bars that are as long as these are large.
func TestSVG(t *testing.T) {
	text := table().SVG()
	var picture group
	if err := xml.Unmarshal([]byte(text), &picture); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	got, bars := map[string]map[string]string{}, map[string][]float64{}
	for i, row := range picture.Groups {
		name := row.text("name")
		if want := table().Rows[i].Counts; row.Class != "row" || row.text("counts") != want {
			t.Errorf("the panel %q (%s) counts %q, want %q", name, row.Class, row.text("counts"), want)
		}
		got[name] = map[string]string{}
		for _, peer := range row.Groups {
			got[name][peer.text("name")] = strings.TrimPrefix(peer.text("figures"), "not asked")
			for _, bar := range peer.Bars {
				bars[name+", "+peer.text("name")] = append(bars[name+", "+peer.text("name")], bar.Width)
			}
		}
	}
	if want := texts(); !reflect.DeepEqual(got, want) {
		t.Errorf("the picture has %q, want %q:\n%s", got, want, text)
	}
	for name, want := range map[string][]float64{
		"keep-alive, a<b>&\"c":  {100, 200, 50, 20},
		"this | that, heirloom": {2},
		"this | that, alone":    {6, 2},
	} {
		if len(bars[name]) != len(want) {
			t.Errorf("%s: the bars are %v, want %v", name, bars[name], want)
			continue
		}
		for i, bar := range bars[name] {
			if scale := bars[name][0] / want[0]; math.Abs(bar-scale*want[i]) > 0.1 {
				t.Errorf("%s: the bars are %v, want them as %v", name, bars[name], want)
			}
		}
		delete(bars, name)
	}
	if len(bars) > 0 {
		t.Errorf("there are bars for nothing: %v", bars)
	}
}
