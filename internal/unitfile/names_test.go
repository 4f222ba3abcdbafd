package unitfile_test

import (
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func TestDropInNames(t *testing.T) {
	for unit, want := range map[string]string{
		"a":       "a",
		"a-b":     "a-b a-",
		"a-b-c":   "a-b-c a-b- a-",
		"a-":      "a-",
		"a-b-":    "a-b- a-",
		"a--":     "a-- a-",
		"-a":      "-a",
		"-a-b":    "-a-b -a-",
		"a@x":     "a@x a@",
		"a@":      "a@",
		"a@x@y":   "a@x@y a@",
		"a@x-y.z": "a@x-y.z a@",
		"a-b@x":   "a-b@x a-b@ a- a-@x a-@",
		"a-b-c@x": "a-b-c@x a-b-c@ a-b- a- a-b-@x a-b-@ a-@x a-@",
	} {
		var got []string
		for _, name := range unitfile.DropInNames(unit + ".service") {
			got = append(got, strings.TrimSuffix(name, ".service"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", unit, got, want)
		}
	}
}

// TestLongName has the longest list of names.
func TestLongName(t *testing.T) {
	if n := len(unitfile.DropInNames(strings.Repeat("a-", 120) + "b@x.service")); n > 512 {
		t.Errorf("%d names", n)
	}
}
