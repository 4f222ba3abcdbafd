package sdtest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

func ExampleVersions() {
	for _, v := range sdtest.Versions() {
		fmt.Println("systemd", v)
	}
	// Output:
	// systemd 252
	// systemd 257
	// systemd 262
}

func TestInsidePID(t *testing.T) {
	tests := []struct {
		name, status string
		want         int
		err          string
	}{
		{"in a machine", "Name:\tcat\nNSpid:\t4711\t12\nThreads:\t1\n", 12, ""},
		{"in a namespace of its own in a machine", "NSpid:\t4711\t12\t1\n", 12, ""},
		{"on the host", "NSpid:\t4711\n", 0, `NSpid "4711": not in a machine`},
		{"no number", "NSpid:\t4711\tx\n", 0, `NSpid "4711\tx": not a process id`},
		{"not seen from there", "NSpid:\t4711\t0\n", 0, `not a process id`},
		{"empty", "", 0, "status has no NSpid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sdtest.InsidePID(tt.status)
			checkParsed(t, got, tt.want, err, tt.err)
		})
	}
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, stat string
		want       string
		err        string
	}{
		{"plain", "12 (cat) S 1 12 12 0 -1", "S 1", ""},
		{"name with spaces and parentheses", "12 (a) R 9 (b) Z 7 12", "Z 7", ""},
		{"parent outside", "1 (systemd) S 0 1", "S 0", ""},
		{"cut short", "12 (cat) S", "", "no state and parent"},
		{"no number", "12 (cat) S x", "", `parent "x" is no process id`},
		{"empty", "", "", "no state and parent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, ppid, err := sdtest.ParseStat(tt.stat)
			got := ""
			if err == nil {
				got = fmt.Sprintf("%c %d", state, ppid)
			}
			checkParsed(t, got, tt.want, err, tt.err)
		})
	}
}

func checkParsed[T comparable](t *testing.T, got, want T, err error, wantErr string) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
		t.Errorf("error %v, want %q", err, wantErr)
	}
}

func FuzzInsidePID(f *testing.F) {
	f.Add("NSpid:\t4711\t12\n")
	f.Fuzz(func(t *testing.T, status string) {
		if pid, err := sdtest.InsidePID(status); (pid > 0) != (err == nil) {
			t.Errorf("pid %d with error %v", pid, err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (cat) S 1 12 12 0 -1")
	f.Fuzz(func(t *testing.T, stat string) {
		if _, ppid, err := sdtest.ParseStat(stat); ppid < 0 && err == nil {
			t.Errorf("parent %d", ppid)
		}
	})
}

// recorder is a test whose end can be watched.
type recorder struct {
	testing.TB
	failed           bool
	log, skip, fatal string
	cleanup          []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Failed() bool             { return r.failed }
func (r *recorder) Cleanup(f func())         { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Logf(f string, a ...any)  { r.log += fmt.Sprintf(f, a...) }
func (r *recorder) Skipf(f string, a ...any) { r.skip = fmt.Sprintf(f, a...); runtime.Goexit() }

func (r *recorder) Fatalf(f string, a ...any) {
	r.fatal = fmt.Sprintf(f, a...)
	r.TB.Logf("fatal: %s", r.fatal)
	runtime.Goexit()
}

// watch calls f as a test's own goroutine would.
func (r *recorder) watch(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
}

func TestRequire(t *testing.T) {
	empty := t.TempDir()
	missing := filepath.Join(empty, "trixie")
	if _, err := roots.Find(257); errors.Is(err, errors.ErrUnsupported) {
		missing = "machines need Linux"
	} else if os.Geteuid() != 0 {
		missing = "needs root"
	}
	tests := []struct {
		name, ci, all string
		fails         bool
	}{
		{"on a desk", "", "", false},
		{"in CI", "true", "", true},
		{"all required", "", "true", true},
		{"CI is not true", "false", "0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HEIRLOOM_ROOTS", empty)
			t.Setenv("CI", tt.ci)
			t.Setenv("HEIRLOOM_REQUIRE_ALL", tt.all)
			r := &recorder{TB: t}
			r.watch(func() { sdtest.Require(r, sdtest.V257) })
			said, silent := r.skip, r.fatal
			if tt.fails {
				said, silent = silent, said
			}
			if !strings.Contains(said, missing) || silent != "" {
				t.Errorf("skipped with %q, failed with %q, want %q", r.skip, r.fatal, missing)
			}
		})
	}
}
