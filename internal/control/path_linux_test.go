package control_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heirloom-go/heirloom/internal/control"
)

func TestPaths(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	if got := control.Paths("daemon", "/given"); !slices.Equal(got, []string{"/given"}) {
		t.Errorf("given: %v", got)
	}
	for _, want := range []string{"/run/user/1/daemon/control", "/run/daemon/control"} {
		if got := control.Paths("daemon", ""); !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	t.Setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
	if got := control.Paths("daemon", ""); !slices.Equal(got, []string{"/run/a/control"}) {
		t.Errorf("of a unit: %v", got)
	}
	if got, err := control.Default("daemon"); got != "/run/a/control" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// What a service makes for itself a command finds, and nobody else may use.
func TestDefault(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path, err := control.Default("daemon")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(control.Paths("daemon", ""), path) {
		t.Errorf("no command looks at %s", path)
	}
	if err := control.WhyNotPrivate(filepath.Dir(path)); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if control.IsPrivate(filepath.Dir(path)) || control.IsProtected(filepath.Dir(path)) {
		t.Error("a directory where everybody may write is taken for safe")
	}
}
