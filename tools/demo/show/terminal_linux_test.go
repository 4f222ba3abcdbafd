package show_test

import (
	"os"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/pty"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// TestPlain has terminals that are not to be drawn on.
func TestPlain(t *testing.T) {
	screen, tty := pty.Open(t, 80)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, term, noColor string
		file                *os.File
		want                bool
	}{
		{"terminal", "xterm", "", tty, true},
		{"NO_COLOR", "xterm", "1", tty, false},
		{"dumb", "dumb", "", tty, false},
		{"unknown", "", "", tty, false},
		{"no terminal", "xterm", "", file, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TERM", test.term)
			t.Setenv("NO_COLOR", test.noColor)
			if got := show.IsLive(test.file); got != test.want {
				t.Errorf("live: %t, want %t", got, test.want)
			}
		})
	}
	_, _, _ = screen.Close(), tty.Close(), file.Close()
}
