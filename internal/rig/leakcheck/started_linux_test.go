package leakcheck_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestKill kills processes each of which starts the next one, and ends: to kill
// those that are there at some time leaves others.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "next")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 0.05\n\"$0\" & exit\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	variable := "HEIRLOOM_TEST_KILL=" + dir
	const chains = 5
	for range chains {
		first := exec.Command("sh", script)
		first.Env = append(os.Environ(), variable)
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = first.Wait() })
	}
	if !patience.Until(30*time.Second, func() bool { return len(leakcheck.Started(variable)) >= chains }) {
		t.Error("the processes are not found")
	}
	killed, gone := leakcheck.Kill(variable)
	if !gone || len(killed) < chains || slices.Contains(killed, os.Getpid()) {
		t.Errorf("killed %v, all of them: %t", killed, gone)
	}
	for range 20 {
		if left := leakcheck.Started(variable); len(left) > 0 {
			t.Fatalf("processes %v are left", left)
		}
		time.Sleep(patience.Of(5 * time.Millisecond)) // for them to go on
	}
	if killed, gone := leakcheck.Kill(variable); !gone || len(killed) > 0 {
		t.Errorf("killed %v where nothing was left", killed)
	}
}
