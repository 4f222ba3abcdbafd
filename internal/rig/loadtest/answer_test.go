package loadtest_test

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

var answers = []struct {
	name             string
	body             string
	generation, read int // generation 0: not a right answer
}{
	{"plain", "hello from generation 3 (pid 123, version dev)\n", 3, -1},
	{"after a body", "hello from generation 12 (pid 1, version 1.0-2~deb12u1) read 65536 bytes\n", 12, 65536},
	{"after an empty body", "hello from generation 1 (pid 1, version dev) read 0 bytes\n", 1, 0},
	{"version with parentheses", "hello from generation 1 (pid 1, version 2 (beta)) read 7 bytes\n", 1, 7},
	{"empty version", "hello from generation 1 (pid 1, version )\n", 1, -1},
	{"empty", "", 0, 0},
	{"no newline", "hello from generation 3 (pid 123, version dev)", 0, 0},
	{"no newline after a body", "hello from generation 3 (pid 123, version dev) read 1 bytes", 0, 0},
	{"cut in the generation", "hello from generation 3", 0, 0},
	{"twice", "hello from generation 3 (pid 1, version a)\nhello from generation 3 (pid 1, version a)\n", 0, 0},
	{"generation zero", "hello from generation 0 (pid 1, version dev)\n", 0, 0},
	{"negative generation", "hello from generation -1 (pid 1, version dev)\n", 0, 0},
	{"generation with a sign", "hello from generation +1 (pid 1, version dev)\n", 0, 0},
	{"generation with a zero before", "hello from generation 01 (pid 1, version dev)\n", 0, 0},
	{"generation too large", "hello from generation 99999999999999999999 (pid 1, version dev)\n", 0, 0},
	{"pid zero", "hello from generation 1 (pid 0, version dev)\n", 0, 0},
	{"no pid", "hello from generation 1 (pid , version dev)\n", 0, 0},
	{"negative count", "hello from generation 1 (pid 1, version dev) read -1 bytes\n", 0, 0},
	{"more negative count", "hello from generation 1 (pid 1, version dev) read -2 bytes\n", 0, 0},
	{"no count", "hello from generation 1 (pid 1, version dev) read  bytes\n", 0, 0},
	{"other tail", "hello from generation 1 (pid 1, version dev) wrote 1 bytes\n", 0, 0},
	{"newline in the version", "hello from generation 1 (pid 1, version a\nb)\n", 0, 0},
	{"carriage return", "hello from generation 1 (pid 1, version dev)\r\n", 0, 0},
	{"something before", "HTTP hello from generation 1 (pid 1, version dev)\n", 0, 0},
}

func TestParseAnswer(t *testing.T) {
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			generation, read, _, err := loadtest.ParseAnswer(test.body)
			if test.generation == 0 {
				if !errors.Is(err, loadtest.ErrWrongAnswer) {
					t.Errorf("%q: error %v, want ErrWrongAnswer", test.body, err)
				}
				return
			}
			if err != nil || generation != test.generation || read != test.read {
				t.Errorf("%q: generation %d, read %d, error %v, want %d and %d",
					test.body, generation, read, err, test.generation, test.read)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	for _, test := range answers {
		f.Add(test.body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		generation, read, spelled, err := loadtest.ParseAnswer(body)
		if err != nil {
			if !errors.Is(err, loadtest.ErrWrongAnswer) {
				t.Errorf("%q: error %v, want ErrWrongAnswer", body, err)
			}
			return
		}
		if generation < 1 || read < -1 || spelled != body {
			t.Errorf("%q: generation %d, read %d, spelled %q", body, generation, read, spelled)
		}
	})
}
