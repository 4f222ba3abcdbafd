package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// A kind says what a test needs. Each test is of one kind, so that all kinds
// together are all tests.
type kind string

const (
	unit    kind = "unit"    // nothing: no root, no systemd, and little time
	systemd kind = "systemd" // a booted systemd
	load    kind = "load"    // real daemons, under load or for long
)

// loaded are the folders whose tests are about whole daemons, whatever else
// these need. What lives in a module of its own is loaded as well.
var loaded = []string{"examples", "internal/rig", "test", "tools"}

// readers has the tests in these folders that are not: they read the tree, and
// are what they are by what they use.
var readers = []string{"test/docs", "tools/structure"}

// processes has functions of lifecycle's tests that start the daemon.
var processes = []string{"startLocal", "startProgram", "startPredecessor", "startSlowly"}

// kindOf returns what a test is that uses names, in a package of a folder, as
// seen from the top of the tree.
func kindOf(folder string, names map[string]bool) kind {
	switch {
	case isBelow(folder, loaded) && !isBelow(folder, readers):
		return load
	case names["sdtest"]:
		return systemd
	case names["exec"], slices.ContainsFunc(processes, func(name string) bool { return names[name] }):
		return load
	}
	return unit
}

func isBelow(folder string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return folder == dir || strings.HasPrefix(folder, dir+"/") })
}

// A suite is the tests of a package that are of one kind.
type suite struct {
	dir    string // of the package
	folder string // the same, as seen from the top of the tree
	tests  []string
	whole  bool // there are no others in the package
}

// pattern is what `go test -run` needs to run just these.
func (s suite) pattern() string { return "^(" + strings.Join(s.tests, "|") + ")$" }

// findSuites returns the tests of a kind, by package, of the module in a
// folder. It looks into a nested one only for what such a module has, so that
// go need not fetch what that requires.
func findSuites(module string, want kind) ([]suite, error) {
	nested := module != "."
	if nested && want != load {
		return nil, nil
	}
	folders, err := listFolders(module)
	if err != nil {
		return nil, err
	}
	var suites []suite
	for _, folder := range folders {
		dir, err := filepath.Abs(filepath.Join(module, folder))
		if err != nil {
			return nil, err
		}
		folder = filepath.ToSlash(filepath.Join(module, folder))
		kinds, err := kindsIn(dir, folder)
		if err != nil {
			return nil, err
		}
		s := suite{dir: dir, folder: folder}
		for name, kind := range kinds {
			if kind == want || nested {
				s.tests = append(s.tests, name)
			}
		}
		s.whole = len(s.tests) == len(kinds)
		if slices.Sort(s.tests); len(s.tests) > 0 {
			suites = append(suites, s)
		}
	}
	return suites, nil
}

// kindsIn returns the kind of each test, example and fuzz test of a package.
func kindsIn(dir, folder string) (map[string]kind, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	uses := map[string][]string{} // by declaration, of any file
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			addUses(uses, decl)
		}
	}
	kinds := map[string]kind{}
	for name := range uses {
		if isTest(name) {
			kinds[name] = kindOf(folder, reach(uses, name))
		}
	}
	return kinds, nil
}

func isTest(name string) bool {
	for _, prefix := range []string{"Test", "Example", "Fuzz"} {
		if strings.HasPrefix(name, prefix) && name != "TestMain" {
			return true
		}
	}
	return false
}

// addUses notes which names a declaration uses. A method counts by its name
// alone: a test is rather of a dearer kind than of a cheaper one by mistake.
func addUses(uses map[string][]string, decl ast.Decl) {
	names := []string{}
	ast.Inspect(decl, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		name := decl.Name.Name
		uses[name] = append(uses[name], names...)
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok && decl.Tok == token.VAR {
				for _, id := range value.Names {
					uses[id.Name] = append(uses[id.Name], names...)
				}
			}
		}
	}
}

// reach returns every name that is used from a declaration on.
func reach(uses map[string][]string, from string) map[string]bool {
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		for _, name := range uses[todo[0]] {
			if !seen[name] {
				seen[name] = true
				todo = append(todo, name)
			}
		}
	}
	return seen
}
