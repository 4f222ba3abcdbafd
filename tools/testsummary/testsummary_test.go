package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	testsummary "github.com/heirloom-go/heirloom/tools/testsummary"
)

// roleVariable makes the test binary the program itself.
const roleVariable = "HEIRLOOM_TESTSUMMARY_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		testsummary.Main()
		return
	}
	leakcheck.Main(m)
}

const (
	passing  = "func TestPass(t *testing.T) { t.Log(\"quiet\") }\n"
	skipping = "func TestSkip(t *testing.T) {\n\tt.Run(\"sub\", func(t *testing.T) { t.Skip(\"no frobnicator\") })\n}\n"
	failing  = "func TestFail(t *testing.T) { t.Error(\"wrong: 1\") }\n"
	cutOff   = "func TestCutOff(t *testing.T) { t.Log(\"before\"); panic(\"ouch\") }\n"
	broken   = "func TestBroken(t *testing.T) { undefined() }\n"
)

// files are the Go files of modules, by path, without what every file begins
// with.
type files map[string]string

func (f files) write(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range f {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) != "go.mod" {
			text = "package p\n\nimport \"testing\"\n\n" + text
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func module(name string) string { return "module example.org/" + name + "\n\ngo 1.25\n" }

func TestProgram(t *testing.T) {
	tests := []struct {
		name     string
		files    files
		env      string
		args     []string
		ok       bool
		has, not []string
	}{
		{
			name:  "all pass",
			files: files{"go.mod": module("m"), "p_test.go": passing},
			env:   "CI=true",
			ok:    true,
			has:   []string{"ok  \texample.org/m\t", "the parts took", "no test was left out"},
			not:   []string{"quiet", "PASS", "RUN"},
		},
		{
			name:  "skipped",
			files: files{"go.mod": module("m"), "p_test.go": skipping},
			ok:    true,
			has:   []string{"ok  \texample.org/m\t", "left out:\n  no frobnicator\n      example.org/m TestSkip/sub\n"},
		},
		{
			name:  "skipped where nothing may be",
			files: files{"go.mod": module("m"), "p_test.go": skipping},
			env:   "CI=true",
			has:   []string{"no frobnicator", "tests were left out"},
		},
		{
			name:  "skipped where everything is required",
			files: files{"go.mod": module("m"), "p_test.go": skipping},
			env:   "HEIRLOOM_REQUIRE_ALL=true",
			has:   []string{"no frobnicator", "tests were left out"},
		},
		{
			name:  "failed",
			files: files{"go.mod": module("m"), "p_test.go": passing + failing},
			has:   []string{"--- FAIL: TestFail", "p_test.go:6: wrong: 1", "FAIL\texample.org/m\t"},
			not:   []string{"quiet"},
		},
		{
			name:  "cut off",
			files: files{"go.mod": module("m"), "p_test.go": cutOff},
			has:   []string{"before", "panic: ouch", "FAIL\texample.org/m\t"},
		},
		{
			name:  "does not build",
			files: files{"go.mod": module("m"), "p_test.go": broken},
			has:   []string{"undefined: undefined", "FAIL\texample.org/m [build failed]"},
		},
		{
			name: "nested modules",
			files: files{
				"go.mod": module("m"), "p_test.go": passing,
				"nested/go.mod": module("n"), "nested/p_test.go": failing,
				"nested/testdata/go.mod": module("ignored"), "nested/testdata/p_test.go": failing,
			},
			has: []string{"ok  \texample.org/m\t", "FAIL\texample.org/n\t", "go test in nested"},
			not: []string{"ignored"},
		},
		{
			name:  "flags",
			files: files{"go.mod": module("m"), "p_test.go": passing + failing},
			args:  []string{"-run", "TestPass", "./..."},
			ok:    true,
			has:   []string{"ok  \texample.org/m\t"},
		},
		{
			name:  "no C compiler",
			files: files{"go.mod": module("m"), "p_test.go": passing},
			env:   "CGO_ENABLED=0",
			ok:    true,
			has:   []string{"left out:\n  the race detector needs cgo and a C compiler\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], tt.args...)
			cmd.Dir = tt.files.write(t)
			cmd.Env = append(os.Environ(), roleVariable+"=program", "GOWORK=off", "CI=", "HEIRLOOM_REQUIRE_ALL=", tt.env)
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.ok {
				t.Errorf("%v, output is:\n%s", err, out)
			}
			for _, text := range tt.has {
				if !bytes.Contains(out, []byte(text)) {
					t.Errorf("output lacks %q:\n%s", text, out)
				}
			}
			for _, text := range tt.not {
				if bytes.Contains(out, []byte(text)) {
					t.Errorf("output has %q:\n%s", text, out)
				}
			}
		})
	}
}

// TestLongest names what took long, the longest first.
func TestLongest(t *testing.T) {
	text := `{"Action":"pass","Package":"p","Test":"TestShort","Elapsed":0.9}
{"Action":"pass","Package":"p","Test":"TestLong/sub","Elapsed":2}
{"Action":"pass","Package":"p","Test":"TestLong","Elapsed":2}
{"Action":"fail","Package":"p","Elapsed":2.94}
`
	var out bytes.Buffer
	if err := testsummary.Summarise(strings.NewReader(text), &out); err != nil {
		t.Fatal(err)
	}
	if want := "\nthe longest took, in seconds:\n     2.9  p \n     2.0  p TestLong\n\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("it says %q, want %q first", &out, want)
	}
}

func FuzzSummarise(f *testing.F) {
	f.Add(`{"Action":"output","Package":"p","Test":"T","Output":"    p_test.go:6: no: frob\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"T"}` + "\n")
	f.Add(`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}`)
	f.Add("not json\n{not json either")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if err := testsummary.Summarise(strings.NewReader(text), &out); err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(out.String(), strings.SplitAfter(text, "\n")[0]) {
			t.Errorf("the first line of %q is not shown: %q", text, &out)
		}
	})
}
