package unitfile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// splits are values, and their words. In a value, N is the name of a variable
// of its own.
var splits = []struct {
	value string
	words []string
	wrong bool // after these words
}{
	{value: "N=1", words: []string{"N=1"}},
	{value: "N=1 NB=2\tNC=3", words: []string{"N=1", "NB=2", "NC=3"}},
	{value: `"N=1 2" 'NB=3 4'`, words: []string{"N=1 2", "NB=3 4"}},
	{value: `N="1 "2' 3'`, words: []string{"N=1 2 3"}},
	{value: `N="1'2" NB='3"4'`, words: []string{"N=1'2", `NB=3"4`}},
	{value: `N="" NB=''`, words: []string{"N=", "NB="}},
	{value: `N=\"1\' NB=\\`, words: []string{`N="1'`, `NB=\`}},
	{value: `N=1\s2`, words: []string{"N=1 2"}},
	{value: `N=1\t\n2`, words: []string{"N=1\t\n2"}},
	{value: `N='1\t2'`, words: []string{"N=1\t2"}},
	{value: `N=\x41\x6a\x6A`, words: []string{"N=Ajj"}},
	{value: `N=\101\0601`, words: []string{"N=A01"}},
	{value: `N=\xc3\xa4`, words: []string{"N=ä"}},
	{value: `N=\u00e4\u20AC`, words: []string{"N=ä€"}},
	{value: `N=\U0001F600`, words: []string{"N=😀"}},
	{value: `N=ä`, words: []string{"N=ä"}},
	{value: `N=1 NB=\q NC=2`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\x4`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\x4g`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\x+4`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\x00`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\000`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\400`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\18`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\8`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\u0000`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\U00110000`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\U0000ffff`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\U0000d800`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB=\`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB="2 NC=3`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 NB='2"`, words: []string{"N=1"}, wrong: true},
	{value: `N=1 "NB=2\"`, words: []string{"N=1"}, wrong: true},
}

func TestSplit(t *testing.T) {
	for _, test := range splits {
		t.Run(test.value, func(t *testing.T) {
			words, err := unitfile.Split(test.value)
			if !slices.Equal(words, test.words) || errors.Is(err, unitfile.ErrSyntax) != test.wrong || err != nil && !test.wrong {
				t.Errorf("%q, error %v, want %q", words, err, test.words)
			}
		})
	}
	if words, err := unitfile.Split(" \t"); len(words) != 0 || err != nil {
		t.Errorf("of nothing: %q, error %v", words, err)
	}
	if words, err := unitfile.Split(`'' ""`); len(words) != 2 || err != nil {
		t.Errorf("of empty quotes: %q, error %v", words, err)
	}
	// What is half of a pair is three bytes.
	if words, err := unitfile.Split(`\ud83d`); err != nil || !slices.Equal(words, []string{"\xed\xa0\xbd"}) {
		t.Errorf("%q, error %v", words, err)
	}
}

func FuzzSplit(f *testing.F) {
	for _, test := range splits {
		f.Add(test.value)
	}
	f.Add(strings.Repeat("\xa4", 70) + `"`)
	f.Fuzz(func(t *testing.T, value string) {
		words, err := unitfile.Split(value)
		if err != nil && !errors.Is(err, unitfile.ErrSyntax) {
			t.Errorf("%q: error %v", value, err)
		}
		var quoted []string
		for _, word := range words {
			var q strings.Builder
			for i := range len(word) {
				fmt.Fprintf(&q, `\x%02x`, word[i])
			}
			quoted = append(quoted, `"`+q.String()+`"`)
		}
		// A file has no NUL in a line.
		if strings.Contains(value, "\x00") {
			return
		}
		if again, err := unitfile.Split(strings.Join(quoted, " ")); err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, and these quoted %q, error %v", value, words, again, err)
		}
	})
}
