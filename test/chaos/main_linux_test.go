package chaos_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/builds"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// The flags of the longer runs: see make chaos and make soak.
var (
	seedFlag  = flag.Uint64("seed", 1, "what the steps of TestChaos follow from")
	stepsFlag = flag.Int("steps", 15, "how many steps TestChaos takes on each systemd")
	roundFlag = flag.Float64("soak", 0.002, "how much of 1,000 reloads, 1,000 restarts and 300 kills TestSoak does")
	onlyFlag  []string // all if there are none
	onFlag    = versions{sdtest.V262}
)

func init() {
	flag.Var(&onFlag, "systemd", "versions of systemd, with commas")
	flag.Func("only", "names of steps, with commas: TestChaos takes no others", func(text string) error {
		onlyFlag = strings.Split(text, ",")
		for _, name := range onlyFlag {
			if !slices.ContainsFunc(steps(), func(s step) bool { return s.name == name }) {
				return fmt.Errorf("there is no step %q", name)
			}
		}
		return nil
	})
}

// Versions is a flag.
type versions []sdtest.Version

func (v *versions) String() string { return fmt.Sprint(*v) }

func (v *versions) Set(text string) error {
	*v = nil
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		*v = append(*v, sdtest.Version(n))
	}
	return nil
}

// Programs under test.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heirloom-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	return leakcheck.Run(m.Run)
}

// root is this tree, and chaotic the daemon in it.
var root = filepath.Join("..", "..")

const chaotic = "./test/chaos/testdata/chaotic"

// The builds of the daemon: of this tree, and of an older one.
const (
	today = "today"
	older = "older"
)

// made makes the builds: each once, for the first test that asks.
var made = map[string]func() error{
	today: sync.OnceValue(func() error { return compile(root, today) }),
	older: sync.OnceValue(compileOlder),
}

func compile(tree, build string, flags ...string) error {
	flags = append([]string{"-buildvcs=false", "-ldflags", "-X main.version=" + build}, flags...)
	return builds.Compile(tree, programs, flags, map[string]string{chaotic: build})
}

// compileOlder builds the daemon of this tree with the library of the older one.
func compileOlder() error {
	tree := filepath.Join(programs, "tree")
	if err := builds.CheckOut(root, builds.Frozen, tree); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(tree, chaotic), os.DirFS(filepath.Join(root, chaotic))); err != nil {
		return err
	}
	if err := compile(tree, older, "-trimpath"); err != nil {
		return err
	}
	return os.RemoveAll(tree)
}

// program returns the path of a build. It skips the test without the history to
// make the older one of.
func program(t *testing.T, build string) string {
	t.Helper()
	err := made[build]()
	if errors.Is(err, builds.ErrNoHistory) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, build)
}
