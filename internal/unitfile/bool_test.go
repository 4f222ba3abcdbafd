package unitfile_test

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

var (
	yes     = []string{"1", "yes", "y", "true", "t", "on", "YES", "On", "tRUE"}
	no      = []string{"0", "no", "n", "false", "f", "off", "NO", "Off", "fALSE"}
	neither = []string{"", "2", "01", "yess", "ye", "disable", "yeſ", "always", "-1", "on off"}
)

func TestBools(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  bool
		err   error
	}{{yes, true, nil}, {no, false, nil}, {neither, false, unitfile.ErrSyntax}} {
		for _, text := range test.texts {
			if got, err := unitfile.ParseBool(text); got != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q: %v, error %v, want %v, %v", text, got, err, test.want, test.err)
			}
		}
	}
}
