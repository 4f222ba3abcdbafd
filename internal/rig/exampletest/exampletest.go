// Package exampletest holds what the tests of all examples need: the program,
// its units, and a machine that runs both.
//
// Its functions are called in the example's own folder, where `go test` runs
// its tests, and go by its conventions: folder, program, unit and description
// have one name, as in examples/hello, /usr/bin/hello, hello.service and
// hello.heirloom.
package exampletest

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

var update = flag.Bool("update", false, "rewrite the committed units")

// Name returns the example's name.
func Name(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(dir)
}

// Describe returns what NAME.heirloom says.
func Describe(t testing.TB) units.Service {
	t.Helper()
	path := Name(t) + ".heirloom"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	service, err := units.ParseSpec(path, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// Render returns what NAME.heirloom is rendered to for systemd 252 and newer.
func Render(t testing.TB) []units.File {
	t.Helper()
	files, err := Describe(t).Render(units.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// CheckUnits fails the test unless the folder units holds what NAME.heirloom is
// rendered to, and nothing else, and package lint has nothing to say about it.
// With the flag -update it is made so.
func CheckUnits(t *testing.T) {
	t.Helper()
	want := map[string]string{}
	for _, file := range Render(t) {
		name := filepath.Join("units", file.Name())
		want[name] = file.Text
		if *update {
			if err := errors.Join(os.MkdirAll("units", 0o755), os.WriteFile(name, []byte(file.Text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != file.Text {
			t.Errorf("%s (%v) is not what the description is rendered to; see with go test -update", name, err)
		}
	}
	there, err := filepath.Glob("units/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is no file of the description's", name)
		}
	}
	lintUnits(t)
}

// lintUnits fails the test for whatever package lint says of the committed
// units.
func lintUnits(t *testing.T) {
	t.Helper()
	service := Describe(t)
	args := []string{filepath.Join("units", service.Name+".service")}
	for _, name := range service.SocketUnits() {
		args = append(args, filepath.Join("units", name))
	}
	findings, err := lint.Check(lint.Options{Daemon: lint.Describes(service)}, args...)
	if err != nil {
		t.Error(err)
	}
	for _, finding := range findings {
		t.Errorf("lint: %+v", finding)
	}
}

// built holds, by folder and arguments, the programs that were built in this
// process.
var built struct {
	sync.Mutex
	path map[string]string
}

// Build builds the program in the working folder with these arguments for `go
// build`, once, and returns its path. It needs no libc, so that it runs on
// every machine, unless the arguments say -race. Main removes it.
func Build(t testing.TB, args ...string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	key := strings.Join(args, " ")
	if path, ok := built.path[key]; ok {
		return path
	}
	dir, err := os.MkdirTemp("", "heirloom-example-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Name(t))
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, args...), ".")...)
	cmd.Env = os.Environ()
	if !strings.Contains(key, "-race") {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		t.Fatalf("%v\n%s", err, out)
	}
	if built.path == nil {
		built.path = map[string]string{}
	}
	built.path[key] = path
	return path
}

// Main is the TestMain of examples: it runs the tests, and removes what Build
// has built.
func Main(m *testing.M) {
	code := leakcheck.Run(m.Run)
	for _, path := range built.path {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// Boot boots systemd v with the program as /usr/bin/NAME and its units, and
// returns when the service has started. Before that, prepare may write the
// files that it needs; it may be nil.
func Boot(t testing.TB, v sdtest.Version, program string, prepare func(m *sdtest.Machine)) *sdtest.Machine {
	t.Helper()
	m := sdtest.Boot(t, v)
	m.Install(program, "/usr/bin/"+Name(t))
	var socketsAndService []string
	for _, file := range Render(t) {
		m.WriteFile(file.Path, file.Text, file.Mode&fs.ModePerm)
		switch filepath.Ext(file.Path) {
		case ".socket", ".service":
			socketsAndService = append(socketsAndService, filepath.Base(file.Path))
		}
	}
	if prepare != nil {
		prepare(m)
	}
	m.MustRun("systemd-sysusers")
	m.MustRun("systemd-tmpfiles", "--create")
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", append([]string{"enable", "--now"}, socketsAndService...)...)
	return m
}

// Command is a program of the host that has the machine's network, and nothing
// else of it: the machine may run from a root that does not have the program,
// without which the test is skipped. It is killed when the test ends.
func Command(t testing.TB, m *sdtest.Machine, name string, args ...string) *exec.Cmd {
	t.Helper()
	for _, program := range []string{"nsenter", name} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, err)
		}
	}
	network := filepath.Join(filepath.Dir(m.Root()), "ns", "net")
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"--net=" + network, "--", name}, args...)...)
	cmd.WaitDelay = patience.Of(10 * time.Second)
	return cmd
}

// missing skips the test, or fails it where nothing may be missing: see
// sdtest.Require.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}
