package lint_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
	"github.com/heirloom-go/heirloom/units/lint"
)

// packaged are units of Debian's packages, what is said of them, and what must
// not be.
var packaged = []struct {
	unit   string
	says   []string
	silent []string
}{
	{"nginx.service", []string{"type", "pid-file", "restart", "fd-store", "kill-mode"}, []string{"exec-stop", "exec-reload-signal", "runtime-directory", "exec-start-shell"}},
	{"haproxy.service", []string{"kill-mode", "exec-reload-signal", "fd-store"}, []string{"type", "restart", "restart-prevent", "runtime-directory", "environment-reserved"}},
	{"caddy.service", []string{"restart", "fd-store"}, []string{"type", "exec-reload-signal", "limit-nproc", "timeout-stop", "limit-nofile"}},
	{"docker.service", []string{"kill-mode", "exec-reload-signal", "start-limit", "fd-store"}, []string{"type", "restart", "sockets-unlisted", "tasks-max", "oom-policy"}},
	{"docker.socket", nil, []string{"socket-install", "backlog", "socket-part-of", "accept"}},
	{"prometheus.service", []string{"type", "exec-reload-signal", "send-sigkill", "fd-store"}, []string{"restart", "timeout-stop", "limit-nofile"}},
}

// TestDebian lints what Debian's packages install. Nobody's unit has a setting
// that is not known, or a line that cannot be read.
func TestDebian(t *testing.T) {
	t.Parallel()
	root := unpack(t, map[string][]string{
		"nginx-common": {"nginx.service"},
		"haproxy":      {"haproxy.service"},
		"caddy":        {"caddy.service"},
		"docker.io":    {"docker.service", "docker.socket"},
		"prometheus":   {"prometheus.service"},
	})
	for _, p := range packaged {
		findings := check(t, lint.Options{Root: root}, p.unit)
		var ids []string
		for _, f := range findings {
			if f.Unit == p.unit {
				ids = append(ids, f.Rule)
			}
		}
		for _, id := range p.says {
			if !slices.Contains(ids, id) {
				t.Errorf("%s: nothing is said of %s:\n%s", p.unit, id, list(findings))
			}
		}
		for _, id := range append(p.silent, "unknown-setting", "wrong-section", "invalid-value", "syntax", "newer-setting") {
			if slices.Contains(ids, id) {
				t.Errorf("%s: %s is found:\n%s", p.unit, id, list(findings))
			}
		}
	}
}

// unpack downloads Debian packages and unpacks units of theirs into a root.
func unpack(t *testing.T, packages map[string][]string) (root string) {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skipf("this is not Debian: %v", err)
	}
	dir := t.TempDir()
	download := exec.Command("apt-get", append([]string{"download", "-q"}, slices.Sorted(maps.Keys(packages))...)...)
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		t.Skipf("Debian packages cannot be downloaded: %v\n%s", err, out)
	}
	root = t.TempDir()
	for name, units := range packages {
		files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v of %s, want one: %v", files, name, err)
		}
		if !extract(files[0], root, "./lib/systemd/system/", units) && !extract(files[0], root, "./usr/lib/systemd/system/", units) {
			t.Fatalf("%s has no %v", name, units)
		}
	}
	return root
}

// extract reads a package only as far as it needs to: tar stops when it has
// each file once.
func extract(file, root, folder string, units []string) bool {
	args := []string{"-c", `dpkg-deb --fsys-tarfile "$1" | { shift; tar -x --occurrence=1 "$@"; }`, "sh", file, "-C", root}
	for _, unit := range units {
		args = append(args, folder+unit)
	}
	return exec.Command("sh", args...).Run() == nil
}

// TestInstalledUnits lints all services and sockets of this machine and of the
// roots with other systemds: each is read, or masked.
func TestInstalledUnits(t *testing.T) {
	t.Parallel()
	for root, systemd := range map[string]int{"": 252, filepath.Join(roots.Dir(), "trixie"): 257, filepath.Join(roots.Dir(), "sid"): 262} {
		names := installed(t, root)
		if len(names) == 0 {
			t.Logf("no units in %q", root)
			continue
		}
		findings, err := lint.Check(lint.Options{Root: root, Systemd: systemd}, names...)
		judgeErrors(t, err)
		for _, f := range findings {
			if slices.Contains([]string{"unknown-setting", "wrong-section", "invalid-value", "syntax", "newer-setting"}, f.Rule) &&
				strings.HasPrefix(f.Path, filepath.Join(root, "/usr/lib/systemd/system/systemd-")) {
				t.Errorf("%s", f)
			}
		}
	}
}

func installed(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(filepath.Join(root, "/usr/lib/systemd/system"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); ext == ".service" || ext == ".socket" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// judgeErrors lets pass that a unit is masked.
func judgeErrors(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not joined: %v", err)
	}
	for _, err := range joined.Unwrap() {
		if !errors.Is(err, lint.ErrMasked) {
			t.Error(err)
		}
	}
}
