// Testsummary runs `go test` in every module at and below the working folder,
// and ends with lists of what the parts took, of what took longest, and of what
// was left out.
//
//	go run ./tools/testsummary [flags of go test] [packages]
//	go run ./tools/testsummary -kind unit|systemd|load [flags of go test]
//
// With -kind it runs the tests of all packages that need nothing, or a booted
// systemd, or real daemons and time: each test is of one of these kinds.
//
// It shows what go test shows: a line for each package, and all that a failed
// test wrote. The race detector is added where there is a C compiler for it,
// and where it has more to look at than clients and starting processes:
// everywhere, if HEIRLOOM_TEST_ALL has the value "true".
// With CI=true, or HEIRLOOM_REQUIRE_ALL=true, nothing may be left out: it fails
// then.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

var errLeftOut = errors.New("tests were left out, which CI=true and HEIRLOOM_REQUIRE_ALL=true forbid")

func main() {
	s := newSummary(os.Stdout)
	err := runAll(s, os.Args[1:])
	s.writeParts()
	s.writeLongest()
	s.writeLeftOut()
	if requireAll() && s.anyLeftOut() {
		err = errors.Join(err, errLeftOut)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
}

func requireAll() bool {
	return os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true"
}

func runAll(s *summary, args []string) error {
	var only kind
	if len(args) > 1 && args[0] == "-kind" {
		only, args = kind(args[1]), args[2:]
		if only != unit && only != systemd && only != load {
			return fmt.Errorf("-kind %q: it is unit, systemd or load", only)
		}
	}
	race := only != unit && hasRaceDetector() // unit is to take less than a minute
	if !race && only != unit {
		s.leaveOut("the race detector needs cgo and a C compiler", "every package")
	}
	modules, err := findModules(".")
	if err != nil {
		return err
	}
	if only != "" {
		return runKind(s, modules, only, race, args)
	}
	runs, err := split(modules, race, args)
	return errors.Join(err, runAtOnce(s, runs))
}

// runKind runs the tests of a kind, one package after the other. Those that
// need nothing go as many packages at a time as there are processors, where all
// tests of a package are of the kind.
func runKind(s *summary, modules []string, only kind, race bool, args []string) (err error) {
	for _, module := range modules {
		suites, listErr := findSuites(module, only)
		err = errors.Join(err, listErr)
		together := run{dir: module, args: args}
		if only == unit {
			suites = slices.DeleteFunc(suites, func(one suite) bool {
				if one.whole {
					together.packages = append(together.packages, one.dir)
				}
				return one.whole
			})
		}
		if len(together.packages) > 0 {
			err = errors.Join(err, together.run(s))
		}
		for _, one := range suites {
			r := run{dir: one.dir, race: race && !buildsPrograms(one.folder), args: append(slices.Clip(args), "-run", one.pattern())}
			err = errors.Join(err, r.run(s))
		}
	}
	return err
}

// hasRaceDetector asks go, which disables cgo when it finds no C compiler.
func hasRaceDetector() bool {
	out, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	return err == nil && strings.TrimSpace(string(out)) == "1"
}

// findModules returns the folders with a go.mod, in lexical order, less those
// that go itself ignores.
func findModules(root string) ([]string, error) {
	var modules []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && isIgnored(entry.Name()):
			return filepath.SkipDir
		case !entry.IsDir() && entry.Name() == "go.mod":
			modules = append(modules, filepath.Dir(path))
		}
		return nil
	})
	return modules, err
}

func isIgnored(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}
