package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestLargestCircle(t *testing.T) {
	graph := map[string]map[string]bool{
		"a": {"b": true},
		"b": {"c": true, "d": true},
		"c": {"a": true},
		"d": {"e": true}, // hangs on the circle
		"e": {},
		"f": {"g": true},
		"g": {"f": true},
	}
	if got := largestCircle(graph); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
	if got := largestCircle(map[string]map[string]bool{"a": {"b": true}}); len(got) != 0 {
		t.Errorf("a circle in a line: %q", got)
	}
}

func TestLook(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
type small struct{ a int }
type large struct{ a, b int; c string; small }
func f(c chan int) { select { case <-c: case c <- 1: default: } }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	var m measures
	ast.Inspect(file, m.look)
	if m.largest != "large" || m.fields != 4 || m.cases != 3 {
		t.Errorf("got %+v", m)
	}
}

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		is   measures
		want string
	}{
		"within the limits": {measures{circle: make([]string, maxCircle), fields: maxFields, cases: maxCases}, ""},
		"a circle":          {measures{circle: strings.Fields("a b c d e f g h i")}, "p: 9 files depend on each other in a circle (a b c d e f g h i), more than 8"},
		"a struct":          {measures{fields: 30, largest: "T"}, "p: T has 30 fields, more than 20"},
		"a select":          {measures{cases: 15}, "p: a select has 15 cases, more than 14"},
	} {
		if got := strings.Join(test.is.problems("p"), "; "); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestUpward(t *testing.T) {
	for _, test := range []struct {
		name, imported string
		want           bool
	}{
		{"internal/handover", "lifecycle", true},
		{"internal/handover", "activation", false},
		{"internal/handover", "units/lint", true},
		{"internal/rig/exampletest", "units/lint", false},
		{"internal/rig/exampletest", "lifecycle", true},
		{"lifecycle", "internal/handover", false},
		{"lifecycle", "unitsother", false},
		{"units/lint", "lifecycle", true},
		{"activation", "notify", true},
		{"examples/hello", "lifecycle", false},
	} {
		if got := upward(test.name, []string{module + test.imported}); (len(got) > 0) != test.want {
			t.Errorf("%s imports %s: %q", test.name, test.imported, got)
		}
	}
}

// TestMeasure measures a package of this very tree.
func TestMeasure(t *testing.T) {
	t.Chdir("../..")
	packages, err := list()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	for _, p := range packages {
		if p.ImportPath != module+"internal/handover" {
			continue
		}
		m, err := measure(p, exports)
		if err != nil || m.largest != "Message" || len(m.circle) == 0 {
			t.Errorf("got %+v, %v", m, err)
		}
		return
	}
	t.Error("go list does not know internal/handover")
}
