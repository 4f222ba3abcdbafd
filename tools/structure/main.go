// Structure counts what makes a tree hard to enter, and fails where there is
// too much of it: files of a package that all depend on each other in a
// circle, fields of a struct, cases of a select, and imports that point up.
//
//	go run ./tools/structure          check, and say what is too large
//	go run ./tools/structure -v       print the largest of each package
//
// Two files depend on each other in a circle if each uses a name that the other
// declares, directly or by way of more files. Test files do not count.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/tools/internal/golist"
)

// The most that there may be.
const (
	maxCircle = 8
	maxFields = 20
	maxCases  = 14
)

// A rule says which imports a package must not have.
type rule struct {
	below string // of the package of this path, and those in its folder
	never []string
}

const module = "github.com/heirloom-go/heirloom/"

// Arrows point down only. What the library is made of knows nothing of what is
// made of it, nor of what tests it.
var rules = []rule{
	{"internal", []string{"lifecycle", "units", "examples", "test", "tools"}},
	{"activation", []string{"notify", "lifecycle", "units", "examples", "test", "tools"}},
	{"notify", []string{"activation", "lifecycle", "units", "examples", "test", "tools"}},
	{"lifecycle", []string{"units", "examples", "test", "tools"}},
	{"units", []string{"activation", "notify", "lifecycle", "examples", "test", "tools"}},
}

// isLibrary reports whether a package is measured: one that a daemon may have
// in it.
func isLibrary(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return !isRig(name) && slices.Contains([]string{"activation", "notify", "lifecycle", "internal"}, top)
}

// isRig reports whether a package is for tests.
func isRig(name string) bool { return isBelow(name, "internal/rig") }

func isBelow(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

func main() {
	verbose := flag.Bool("v", false, "print the largest of each package")
	flag.Parse()
	problems, err := run(os.Stdout, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(1)
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// A listed is a package as `go list` tells of it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Standard                bool
}

func run(out io.Writer, verbose bool) ([]string, error) {
	packages, err := list()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	var problems []string
	for _, p := range packages {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		problems = append(problems, upward(name, p.Imports)...)
		if !isLibrary(name) {
			continue
		}
		m, err := measure(p, exports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if verbose {
			fmt.Fprintf(out, "%-24s %2d of %2d files in a circle, %2d fields (%s), %2d cases\n",
				name, len(m.circle), len(p.GoFiles), m.fields, m.largest, m.cases)
		}
		problems = append(problems, m.problems(name)...)
	}
	return problems, nil
}

// list returns the packages of this module and all that they need.
func list() ([]listed, error) {
	return golist.Packages[listed](nil, "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Standard", "./...")
}

// upward returns the imports of a package that it must not have. What tests
// need may import units, to check those of the examples.
func upward(name string, imports []string) []string {
	var problems []string
	for _, r := range rules {
		if !isBelow(name, r.below) {
			continue
		}
		for _, path := range imports {
			imported, ours := strings.CutPrefix(path, module)
			if !ours || isRig(name) && isBelow(imported, "units") {
				continue
			}
			if slices.ContainsFunc(r.never, func(never string) bool { return isBelow(imported, never) }) {
				problems = append(problems, fmt.Sprintf("%s imports %s", name, imported))
			}
		}
	}
	return problems
}

// Measures are the largest things of a package.
type measures struct {
	circle  []string // files that all depend on each other
	fields  int
	largest string // struct
	cases   int
}

// problems returns what is larger than it may be.
func (m measures) problems(name string) []string {
	var problems []string
	check := func(what string, is, most int) {
		if is > most {
			problems = append(problems, fmt.Sprintf("%s: %s, more than %d", name, what, most))
		}
	}
	check(fmt.Sprintf("%d files depend on each other in a circle (%s)", len(m.circle), strings.Join(m.circle, " ")),
		len(m.circle), maxCircle)
	check(fmt.Sprintf("%s has %d fields", m.largest, m.fields), m.fields, maxFields)
	check(fmt.Sprintf("a select has %d cases", m.cases), m.cases, maxCases)
	return problems
}

func measure(p listed, exports map[string]string) (measures, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			return measures{}, err
		}
		files = append(files, f)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	pkg, err := config.Check(p.ImportPath, fset, files, info)
	if err != nil {
		return measures{}, err
	}
	m := measures{circle: largestCircle(uses(fset, pkg, info))}
	for _, f := range files {
		ast.Inspect(f, m.look)
	}
	return m, nil
}

// look notes structs and selects. A struct's fields are those it declares: one
// that embeds another of the package has that one's as well.
func (m *measures) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.TypeSpec:
		s, ok := n.Type.(*ast.StructType)
		if !ok {
			return true
		}
		count := fieldCount(s)
		if count > m.fields {
			m.fields, m.largest = count, n.Name.Name
		}
	case *ast.SelectStmt:
		m.cases = max(m.cases, len(n.Body.List))
	}
	return true
}

func fieldCount(s *ast.StructType) int {
	n := 0
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names))
	}
	return n
}

// uses returns which files use what others declare.
func uses(fset *token.FileSet, pkg *types.Package, info *types.Info) map[string]map[string]bool {
	graph := map[string]map[string]bool{}
	for id, o := range info.Uses {
		if o.Pkg() != pkg || !o.Pos().IsValid() {
			continue
		}
		from, to := file(fset, id.Pos()), file(fset, o.Pos())
		if from == to {
			continue
		}
		if graph[from] == nil {
			graph[from] = map[string]bool{}
		}
		graph[from][to] = true
	}
	return graph
}

func file(fset *token.FileSet, pos token.Pos) string {
	return filepath.Base(fset.Position(pos).Filename)
}

// largestCircle returns the largest set of files each of which reaches all
// others.
func largestCircle(graph map[string]map[string]bool) []string {
	reached := map[string]map[string]bool{}
	for from := range graph {
		seen := map[string]bool{}
		for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
			for to := range graph[todo[0]] {
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		reached[from] = seen
	}
	var largest []string
	for from := range graph {
		if !reached[from][from] {
			continue
		}
		circle := []string{}
		for to := range reached[from] {
			if reached[to][from] {
				circle = append(circle, to)
			}
		}
		if len(circle) > len(largest) {
			largest = circle
		}
	}
	slices.Sort(largest)
	return largest
}
