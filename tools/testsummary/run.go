package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// builders are the folders whose tests build the programs that they test. The
// race detector would look at the clients, at examples that have little code of
// their own, and take the processor from both.
var builders = []string{"examples", "test", "tools/compare"}

// apart is the folder of the package whose tests take as long as those of all
// others that have the race detector: it goes beside them.
const apart = "lifecycle"

// buildsPrograms reports whether the tests in a folder go without the race
// detector. With HEIRLOOM_TEST_ALL=true all have it.
func buildsPrograms(folder string) bool {
	return os.Getenv("HEIRLOOM_TEST_ALL") != "true" && isBelow(folder, builders)
}

// all is what stands for all packages of a module.
const all = "./..."

// A run is one of go test.
type run struct {
	dir      string // of the module
	race     bool
	args     []string
	packages []string // in addition to args
}

// split returns the runs for all modules, the longest first: two of what is
// tested with the race detector, and one for each package that is not. If args
// name packages then each module has one run.
func split(modules []string, race bool, args []string) (runs []run, err error) {
	named := !slices.Contains(args, all)
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == all })
	for _, module := range modules {
		if named || !race {
			r := run{dir: module, race: race, args: args}
			if !named {
				r.packages = []string{all}
			}
			runs = append(runs, r)
			continue
		}
		folders, listErr := listFolders(module)
		err = errors.Join(err, listErr)
		raced := run{dir: module, race: true, args: args}
		for _, folder := range folders {
			target := "./" + folder
			switch path := filepath.ToSlash(filepath.Join(module, folder)); {
			case path == apart:
				runs = slices.Insert(runs, 0, run{dir: module, race: true, args: args, packages: []string{target}})
			case buildsPrograms(path):
				runs = append(runs, run{dir: module, args: args, packages: []string{target}})
			default:
				raced.packages = append(raced.packages, target)
			}
		}
		if len(raced.packages) > 0 {
			runs = append(runs, raced)
		}
	}
	slices.SortStableFunc(runs, func(a, b run) int { return len(b.packages) - len(a.packages) })
	return runs, err
}

// listFolders returns the folders of a module that have packages, as seen from
// there.
func listFolders(module string) ([]string, error) {
	list := exec.Command("go", "list", "-e", "-find", "-f", "{{.Dir}}", all)
	list.Dir, list.Stderr = module, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", module, err)
	}
	top, err := filepath.Abs(module)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, dir := range strings.Fields(string(out)) {
		folder, err := filepath.Rel(top, dir)
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

// runTwo runs two at a time: tests of whole daemons wait half of the time.
func runTwo(s *summary, runs []run) error {
	errs := make([]error, len(runs))
	var running sync.WaitGroup
	two := make(chan struct{}, 2)
	for i, r := range runs {
		two <- struct{}{}
		running.Go(func() {
			errs[i] = r.run(s)
			<-two
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// run compiles as much at a time as there are processors: with -p 1, go test
// would compile one package after the other.
func (r run) run(s *summary) error {
	r.compile()
	args := []string{"test", "-json"}
	if r.race {
		args = append(args, "-race")
	}
	cmd := r.command(slices.Concat(args, r.args, r.packages)...)
	cmd.Stderr = os.Stderr
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
		return fmt.Errorf("go test in %s: %w", r.dir, err)
	}
	return nil
}

// compile leaves it to go test to tell what cannot be compiled.
func (r run) compile() {
	args := []string{"list", "-e", "-test", "-export", "-f", "{{.ImportPath}}"}
	if r.race {
		args = append(args, "-race")
	}
	_ = r.command(append(args, r.packages...)...).Run()
}

// command is go. What runs without the race detector does so without cgo, as
// tests build programs, so that it is compiled once.
func (r run) command(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = r.dir
	if !r.race {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	return cmd
}
