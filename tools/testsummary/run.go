package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// builders are the folders whose tests build the programs that they test. The
// race detector would look at the clients, at examples that have little code of
// their own, and take the processor from both.
var builders = []string{"examples", "test", "tools/compare"}

// apart are the folders of packages whose tests are themselves the daemons that
// they start, hundreds of them. With the race detector each takes a half of a
// second of the processor to start, and then five times as much as without it.
var apart = []string{"lifecycle", "internal/systemd"}

// raced says that one of so many tests in apart that start daemons has the race
// detector.
const raced = 4

// buildsPrograms reports whether the tests in a folder go without the race
// detector.
func buildsPrograms(folder string) bool { return !everything() && isBelow(folder, builders) }

// everything reports whether all tests have the race detector.
func everything() bool { return os.Getenv("HEIRLOOM_TEST_ALL") == "true" }

// all is what stands for all packages of a module.
const all = "./..."

// A run is one of go test.
type run struct {
	dir      string // of the module
	race     bool
	args     []string
	packages []string // in addition to args
}

// split returns the runs for all modules, the longest first: one of what is
// tested with the race detector, two of each package that is apart, and one for
// each that is tested without. If args name packages then each module has one run.
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
		together := run{dir: module, race: true, args: args}
		for _, folder := range folders {
			target := "./" + folder
			switch path := filepath.ToSlash(filepath.Join(module, folder)); {
			case slices.Contains(apart, path) && !slices.Contains(args, "-run"):
				two, splitErr := splitApart(run{dir: module, args: args, packages: []string{target}}, path)
				err = errors.Join(err, splitErr)
				runs = slices.Insert(runs, 0, two...)
			case buildsPrograms(path):
				runs = append(runs, run{dir: module, args: args, packages: []string{target}})
			default:
				together.packages = append(together.packages, target)
			}
		}
		if len(together.packages) > 0 {
			runs = append(runs, together)
		}
	}
	slices.SortStableFunc(runs, func(a, b run) int { return len(b.packages) - len(a.packages) })
	return runs, err
}

// splitApart returns the runs of a package that is apart: one of the tests
// that have the race detector, and one of the others. r has what both have.
func splitApart(r run, folder string) ([]run, error) {
	kinds, err := kindsIn(folder, folder)
	if err != nil {
		return nil, err
	}
	var with, without suite
	for _, test := range slices.Sorted(maps.Keys(kinds)) {
		if everything() || kinds[test] == unit || isTurn(test) {
			with.tests = append(with.tests, test)
		} else {
			without.tests = append(without.tests, test)
		}
	}
	var runs []run
	for i, one := range []suite{with, without} {
		if len(one.tests) > 0 {
			runs = append(runs, run{dir: r.dir, race: i == 0, args: append(slices.Clip(r.args), "-run", one.pattern()), packages: r.packages})
		}
	}
	return runs, nil
}

// isTurn picks one of so many tests, by its name: always the same. It leaves the
// bit of the hash alone by which sdtest.Turn picks a version of systemd.
func isTurn(test string) bool {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(test))
	return hash.Sum32()/2%raced == 0
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

// atOnce is how many runs go on at a time. Tests of whole daemons wait a lot: on
// two processors test/e2e alone leaves a quarter of the time unused.
const atOnce = 3

func runAtOnce(s *summary, runs []run) error {
	errs := make([]error, len(runs))
	var running sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i, r := range runs {
		room <- struct{}{}
		running.Go(func() {
			errs[i] = r.run(s)
			<-room
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// run compiles as much at a time as there are processors: with -p 1, go test
// would compile one package after the other. It leaves go vet to make check.
func (r run) run(s *summary) error {
	compiling := r.compile()
	args := []string{"test", "-json", "-vet=off"}
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
	began := time.Now()
	err = s.read(stdout)
	_, _ = io.Copy(io.Discard, stdout) // so that go test can end, whatever it said
	err = errors.Join(err, cmd.Wait())
	s.addPart(part{r.String(), time.Since(began), processorTime(cmd), compiling})
	if err != nil {
		return fmt.Errorf("go test in %s: %w", r.dir, err)
	}
	return nil
}

// String says what is tested.
func (r run) String() string {
	text := r.dir
	switch {
	case len(r.packages) == 1 && r.packages[0] != all:
		text = filepath.Join(r.dir, r.packages[0])
	case len(r.packages) > 1:
		text = fmt.Sprintf("%d packages in %s", len(r.packages), r.dir)
	}
	if r.race {
		text += ", with the race detector"
	}
	return text
}

// compile leaves it to go test to tell what cannot be compiled. It returns how
// much of the processor that took.
func (r run) compile() time.Duration {
	args := []string{"list", "-e", "-test", "-export", "-f", "{{.ImportPath}}"}
	if r.race {
		args = append(args, "-race")
	}
	cmd := r.command(append(args, r.packages...)...)
	_ = cmd.Run()
	return processorTime(cmd)
}

// processorTime is what an ended command took, and all processes below it that
// were waited for.
func processorTime(cmd *exec.Cmd) time.Duration {
	if cmd.ProcessState == nil {
		return 0
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
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
