// Typecheck finds what does not compile on other systems: it checks the types
// of the packages of the module here, and of their tests.
//
//	go run ./tools/typecheck windows/amd64 linux/arm ...
//
// `go vet` would find the same, and compile the standard library for each
// system before. This reads the library's declarations, and no more. cgo is
// disabled, as where one system compiles for another.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/tools/internal/golist"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: typecheck GOOS/GOARCH...")
		os.Exit(2)
	}
	failed := false
	for _, system := range os.Args[1:] {
		count, err := check(system)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
			failed = true
			continue
		}
		fmt.Printf("%s: %d packages and tests\n", system, count)
	}
	if failed {
		os.Exit(1)
	}
}

// check returns how many packages of the module were checked for a system,
// those of tests among them.
func check(system string) (int, error) {
	// go list takes any GOOS.
	known, err := exec.Command("go", "tool", "dist", "list").Output()
	if err != nil {
		return 0, fmt.Errorf("go tool dist list: %w", err)
	}
	if !slices.Contains(strings.Fields(string(known)), system) {
		return 0, errors.New("want a GOOS/GOARCH of go tool dist list")
	}
	goos, goarch, _ := strings.Cut(system, "/")
	packages, err := list(goos, goarch)
	if err != nil {
		return 0, err
	}
	c := checker{fset: token.NewFileSet(), sizes: types.SizesFor("gc", goarch), done: map[string]*types.Package{"unsafe": types.Unsafe}}
	count := 0
	for _, p := range packages {
		err = errors.Join(err, c.check(p))
		if !p.DepOnly {
			count++
		}
	}
	return count, err
}

// A listed is a package as `go list` tells of it. One that is compiled for a
// test has a name like "p [p.test]", and is what the test imports as "p".
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	DepOnly         bool // it is no package of the module
	Standard        bool
	Error           *struct{ Err string }
	Module          *struct{ GoVersion string }
}

// list returns the packages of this module, those of their tests, and all that
// these need, each behind what it imports.
func list(goos, goarch string) ([]listed, error) {
	environ := append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	packages, err := golist.Packages[listed](environ, "-deps", "-test", "-json=ImportPath,Dir,GoFiles,ImportMap,DepOnly,Standard,Error,Module", "./...")
	return slices.DeleteFunc(packages, func(p listed) bool {
		isTestMain := strings.HasSuffix(p.ImportPath, ".test")
		return isTestMain || p.ImportPath == "unsafe"
	}), err
}

// A checker has the packages that were checked for a system.
type checker struct {
	fset  *token.FileSet
	sizes types.Sizes
	done  map[string]*types.Package // by ImportPath
}

// check checks a package. The bodies of functions count, except in the standard
// library.
func (c checker) check(p listed) (err error) {
	if p.Error != nil {
		return errors.New(p.Error.Err)
	}
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, parseErr := parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if parseErr != nil {
			return parseErr
		}
		files = append(files, file)
	}
	conf := types.Config{
		IgnoreFuncBodies: p.Standard,
		Importer:         importer{c.done, p.ImportMap},
		Sizes:            c.sizes,
		Error:            func(found error) { err = errors.Join(err, found) },
	}
	if p.Module != nil && p.Module.GoVersion != "" {
		conf.GoVersion = "go" + p.Module.GoVersion
	}
	path, _, _ := strings.Cut(p.ImportPath, " ")
	c.done[p.ImportPath], _ = conf.Check(path, c.fset, files, nil)
	return err
}

// An importer finds what a package imports among what was checked before it.
type importer struct {
	done     map[string]*types.Package
	imported map[string]string // by what the package writes, if that differs
}

func (i importer) Import(path string) (*types.Package, error) {
	if real, ok := i.imported[path]; ok {
		path = real
	}
	if p := i.done[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s was not listed", path)
}
