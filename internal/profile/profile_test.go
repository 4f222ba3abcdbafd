package profile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/heirloom-go/heirloom/internal/profile"
)

func newProfiler(directory, name string) (*profile.Profiler, *bytes.Buffer) {
	var log bytes.Buffer
	return profile.New(hclog.New(&hclog.LoggerOptions{Output: &log}), directory, name), &log
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestToggle makes a profile of a service whose name is a path.
func TestToggle(t *testing.T) {
	dir := t.TempDir()
	p, log := newProfiler(dir, "../a/b")
	for range 2 {
		p.Next()()
	}
	files := list(t, dir)
	if len(files) != 2 {
		t.Fatalf("wrote %v, want a profile of the CPU and one of the heap\n%s", files, log)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Size() == 0 || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
		if !strings.Contains(log.String(), file) {
			t.Errorf("the log does not name %s", file)
		}
	}
}

func TestEnd(t *testing.T) {
	dir := t.TempDir()
	p, log := newProfiler(dir, "daemon")
	p.Next()()
	p.End()
	if files := list(t, dir); len(files) != 2 {
		t.Errorf("the profile that ran has left %v", files)
	}
	p.Next()()
	if files := list(t, dir); len(files) != 2 || !strings.Contains(log.String(), "on its way out") {
		t.Errorf("another was begun: %v\n%s", files, log)
	}
}

func TestFewWait(t *testing.T) {
	p, log := newProfiler(filepath.Join(t.TempDir(), "missing"), "daemon")
	var toggles []func()
	for range profile.MaxWaiting {
		toggles = append(toggles, p.Next())
	}
	if p.Next() != nil {
		t.Fatal("any number may wait")
	}
	for _, toggle := range toggles {
		toggle()
	}
	if p.Next() == nil {
		t.Error("none may follow")
	}
	if !strings.Contains(log.String(), "cannot start a CPU profile") {
		t.Errorf("log:\n%s", log)
	}
}
