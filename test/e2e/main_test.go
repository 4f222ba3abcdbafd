package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

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
	for name, build := range map[string][2]string{
		"v1":        {"version=v1", "./examples/hello"},
		"v2":        {"version=v2", "./examples/hello"},
		"daemon-v1": {"version=v1", "./test/e2e/testdata/daemon"},
		"daemon-v2": {"version=v2", "./test/e2e/testdata/daemon"},
		"drainer":   {"version=v1", "./test/e2e/testdata/drainer"},
		"tortured":  {"version=v1", "./test/e2e/testdata/tortured"},
		"crasher":   {"version=v1", "./test/e2e/testdata/crasher"},
		"hang":      {"mode=hang", "./test/e2e/testdata/faulty"},
		"crash":     {"mode=crash", "./test/e2e/testdata/faulty"},
		"refuse":    {"mode=refuse", "./test/e2e/testdata/faulty"},
	} {
		cmd := exec.Command("go", "build", "-ldflags", "-X main."+build[0], "-o", filepath.Join(dir, name), build[1])
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for the roots with another libc
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	if err := os.Link(program("v1"), program("hello")); err != nil { // for its commands only
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
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
