// Testsummary runs `go test` in every module at and below the working folder,
// and ends with a list of what was left out.
//
//	go run ./tools/testsummary [flags of go test] [packages]
//	go run ./tools/testsummary -kind unit|systemd|load [flags of go test]
//
// With -kind it runs the tests of all packages that need nothing, or a booted
// systemd, or real daemons and time: each test is of one of these kinds.
//
// It shows what go test shows: a line for each package, and all that a failed
// test wrote. The race detector is added where there is a C compiler for it.
// With CI=true, or HEIRLOOM_REQUIRE_ALL=true, nothing may be left out: it fails
// then.
package main

import (
	"errors"
	"fmt"
	"io"
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
	args = append([]string{"test", "-json"}, args...)
	if only == unit {
		// It is to take less than a minute.
	} else if hasRaceDetector() {
		args = append([]string{"test", "-json", "-race"}, args[2:]...)
	} else {
		s.leaveOut("the race detector needs cgo and a C compiler", "every package")
	}
	modules, err := findModules(".")
	for _, dir := range modules {
		if only != unit {
			compile(dir, slices.Contains(args, "-race"))
		}
		if only != "" {
			err = errors.Join(err, runKind(s, dir, only, args))
			continue
		}
		err = errors.Join(err, runModule(s, dir, args))
	}
	return err
}

// runKind runs the tests of a kind, one package after the other. Those that
// need nothing go as many packages at a time as there are processors, where all
// tests of a package are of the kind.
func runKind(s *summary, module string, only kind, args []string) error {
	suites, err := findSuites(module, only)
	if err != nil {
		return err
	}
	together, rest := args, suites
	if only == unit {
		rest = slices.DeleteFunc(suites, func(one suite) bool {
			if one.whole {
				together = append(slices.Clip(together), one.dir)
			}
			return one.whole
		})
	}
	if len(together) > len(args) {
		err = runModule(s, module, together)
	}
	for _, one := range rest {
		err = errors.Join(err, runModule(s, one.dir, append(slices.Clip(args), "-run", one.pattern())))
	}
	return err
}

// compile compiles the packages of a module and their tests, as many at a time
// as there are processors: with -p 1, go test would compile one after the
// other. What cannot be compiled is what go test will tell.
func compile(module string, race bool) {
	args := []string{"list", "-e", "-test", "-export", "-f", "{{.ImportPath}}"}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./...")...)
	cmd.Dir = module
	_ = cmd.Run()
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

func runModule(s *summary, dir string, args []string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = s.read(stdout)
	_, _ = io.Copy(io.Discard, stdout) // so that go test can end, whatever it said
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("go test in %s: %w", dir, err)
	}
	return nil
}
