package show_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/tools/demo/show"
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
