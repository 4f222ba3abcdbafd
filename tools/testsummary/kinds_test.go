package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	for folder, want := range map[string]kind{
		"test/docs": unit, "test/e2e": load, "test/docsother": load, "examples/hello": load, "lifecycle": unit, "testing": unit,
	} {
		if got := kindOf(folder, nil); got != want {
			t.Errorf("what needs nothing in %s is %s, want %s", folder, got, want)
		}
	}
	if got := kindOf("test/docs", map[string]bool{"sdtest": true}); got != systemd {
		t.Errorf("what boots systemd in test/docs is %s", got)
	}
}

func TestKindsIn(t *testing.T) {
	dir := t.TempDir()
	text := `package x
var versions = sdtest.Versions()
func boot() { sdtest.Boot() }
type daemon struct{}
func (daemon) start() { boot() }
func TestPlain(t *testing.T) {}
func TestMethod(t *testing.T) { daemon{}.start() }
func TestVariable(t *testing.T) { _ = versions }
func TestProcess(t *testing.T) { startLocal() }
func ExamplePlain() {}
func FuzzPlain(f *testing.F) {}
func TestMain(m *testing.M) { boot() }
`
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := map[string]kind{
		"TestPlain": unit, "ExamplePlain": unit, "FuzzPlain": unit, "TestMethod": systemd, "TestVariable": systemd, "TestProcess": load,
	}
	got, err := kindsIn(dir, "lifecycle")
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for name, kind := range want {
		if got[name] != kind {
			t.Errorf("%s is %s, want %s", name, got[name], kind)
		}
	}
	if got, _ := kindsIn(dir, "test/e2e"); got["TestMethod"] != load {
		t.Errorf("in test/e2e it is %s", got["TestMethod"])
	}
}

// TestNothingFallsBetween compares the tests of all kinds with what go finds.
func TestNothingFallsBetween(t *testing.T) {
	t.Chdir("../..")
	for _, folder := range []string{"./activation"} { // to build one takes long enough
		cmd := exec.Command("go", "test", "-list", "^(Test|Example|Fuzz)", folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as programs are built, so that it is done once
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		kinds, err := kindsIn(folder, strings.TrimPrefix(folder, "./"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(string(out)) {
			if _, known := kinds[name]; isTest(name) && !known {
				t.Errorf("%s: %s is of no kind", folder, name)
			}
		}
	}
	var all []suite
	for _, kind := range []kind{unit, systemd, load} {
		suites, err := findSuites(".", kind)
		if err != nil || len(suites) == 0 {
			t.Fatal(kind, suites, err)
		}
		for _, s := range suites {
			for _, other := range all {
				if s.dir == other.dir && slices.ContainsFunc(s.tests, func(name string) bool { return slices.Contains(other.tests, name) }) {
					t.Errorf("%s: a test is of two kinds", s.dir)
				}
			}
		}
		all = append(all, suites...)
	}
}

// TestApart has each test of a package that is apart in one run, with the race
// detector or without; all have it if everything is to be tested.
func TestApart(t *testing.T) {
	t.Chdir("../..")
	for _, folder := range apart {
		for _, everything := range []string{"", "true"} {
			t.Setenv("HEIRLOOM_TEST_ALL", everything)
			checkApart(t, folder, map[string]int{"": 2, "true": 1}[everything])
		}
	}
}

func checkApart(t *testing.T, folder string, want int) {
	t.Helper()
	kinds, err := kindsIn(folder, folder)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := splitApart(run{dir: ".", args: []string{"-count=1"}}, folder)
	if err != nil || len(runs) != want {
		t.Fatal(folder, runs, err)
	}
	times := map[string]int{}
	for _, r := range runs {
		for test := range strings.SplitSeq(strings.Trim(r.args[2], "^()$"), "|") {
			if times[test]++; kinds[test] == unit && !r.race {
				t.Errorf("%s has no race detector", test)
			}
		}
	}
	for test := range kinds {
		if times[test] != 1 {
			t.Errorf("%s is run %d times", test, times[test])
		}
	}
}

// TestNested asks go about a nested module only for what it may have: go would
// fetch all that it requires.
func TestNested(t *testing.T) {
	t.Chdir("../..")
	if suites, err := findSuites("prometheus", load); err != nil || len(suites) != 1 || !suites[0].whole {
		t.Error(suites, err)
	}
	t.Setenv("PATH", "")
	for _, kind := range []kind{unit, systemd} {
		if suites, err := findSuites("prometheus", kind); err != nil || len(suites) > 0 {
			t.Error(kind, suites, err)
		}
	}
}
