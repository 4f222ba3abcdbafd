package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/builds"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// Programs under test, built once.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if runtime.GOOS != "linux" {
		fmt.Println("not Linux: processes are not replaced here")
		return 0
	}
	dir, err := os.MkdirTemp("", "heirloom-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	for _, build := range []struct {
		variable string
		names    map[string]string
	}{
		{"version=v1", map[string]string{
			"./examples/hello":             "v1",
			"./test/e2e/testdata/daemon":   "daemon-v1",
			"./test/e2e/testdata/drainer":  "drainer",
			"./test/e2e/testdata/tortured": "tortured",
			"./test/e2e/testdata/crasher":  "crasher",
		}},
		{"version=v2", map[string]string{"./examples/hello": "v2", "./test/e2e/testdata/daemon": "daemon-v2"}},
		{"mode=hang", map[string]string{"./test/e2e/testdata/faulty": "hang"}},
		{"mode=crash", map[string]string{"./test/e2e/testdata/faulty": "crash"}},
		{"mode=refuse", map[string]string{"./test/e2e/testdata/faulty": "refuse"}},
	} {
		if err := compile(root, []string{"-ldflags", "-X main." + build.variable}, build.names); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := os.Link(program("v1"), program("hello")); err != nil { // for its commands only
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
}

// root is this tree.
var root = filepath.Join("..", "..")

// compile builds the programs at these paths of a tree, by these names.
func compile(tree string, flags []string, names map[string]string) error {
	return builds.Compile(tree, programs, flags, names)
}

// program returns the path of a program under test.
func program(name string) string { return filepath.Join(programs, name) }

// script writes an executable file that is no heirloom program.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := writeProgram(path, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeProgram writes a file to be executed. No process may be started here
// meanwhile: it would hold the file open for writing until its execve, and the
// program would be "text file busy" (golang/go issue 22315).
func writeProgram(path string, data []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, data, 0o755)
}

// missing skips a test for want of a program, but fails it where nothing may be
// left out.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}
