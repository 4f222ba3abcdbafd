package show_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/demo/show"
	"github.com/heirloom-go/heirloom/internal/demo/show/showtest"
)

func madeUpTable() show.Table {
	return show.Table{
		Title: "how many",
		Head:  []string{"apples", "ö"},
		Rows:  []show.Row{{Name: "Ann", Cells: []string{"1", "20000"}}, {Name: "Bartholomew", Cells: []string{"12"}}},
		Notes: []string{"short", strings.Repeat("sixteen letters ", 8)},
	}
}

func TestTable(t *testing.T) {
	const want = `how many
               apples      ö
  Ann               1  20000
  Bartholomew      12
  short
  sixteen letters sixteen letters sixteen letters sixteen letters sixteen letters sixteen letters
    sixteen letters sixteen letters
`
	if got := madeUpTable().String(); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

// TestPageOfTables has tables above pictures.
func TestPageOfTables(t *testing.T) {
	d := document(madeUp())
	d.Tables = []show.Table{madeUpTable()}
	page, err := show.Render(d)
	if err != nil {
		t.Fatal(err)
	}
	showtest.Check(t, page, show.Drawn(madeUp(), 100, false))
	for _, part := range []string{"<h3>how many</h3>", "<th></th><th>apples</th><th>ö</th>", "<td>Ann</td><td>1</td><td>20000</td>", `<p class="note">short</p>`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s:\n%s", part, page)
		}
	}
}
