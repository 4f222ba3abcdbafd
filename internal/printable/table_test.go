package printable_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/printable"
)

// TestTable keeps each line one line, and what is in it fit to show.
func TestTable(t *testing.T) {
	var out strings.Builder
	table := printable.NewTable(&out)
	table.Line("pid", "%d", 7)
	table.Line("last\nreload", "failed: %s", "first\nsecond\x1b")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "pid          7\nlast reload  failed: first second\ufffd\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}
