package lifecycle_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCommandOfStopped: a command to a service that does not answer ends, and
// says so.
func TestCommandOfStopped(t *testing.T) {
	d := startLocal(t, "tcp")
	pid := d.status().PID
	d.freeze(pid)
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	d.env = append(d.env, "HEIRLOOM_TEST_PATIENCE=300ms")
	for _, args := range [][]string{{"status"}, {"status", "-json"}, {"reload"}, {"reload", "-dry-run"}} {
		out, err := d.run(args...)
		if err == nil || !strings.Contains(out, "the service does not answer within 300ms") {
			t.Errorf("%v: %v, %q", args, err, out)
		}
	}
}

// TestCommandWaitsForReload: a reload takes as long as it takes, while the
// service goes on to answer; and one that stops meanwhile is given up.
func TestCommandWaitsForReload(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=watched", "HEIRLOOM_TEST_RELOAD=1h")
	slow := filepath.Join(d.dir, "slow")
	if err := os.WriteFile(slow, []byte("1s"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "HEIRLOOM_TEST_PATIENCE=1m") // each time it is asked, some 20 times
	d.reload()
	if s := d.status(); s.Generation != 2 {
		t.Errorf("generation %d serves after the reload", s.Generation)
	}

	if err := os.WriteFile(slow, []byte("1h"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "HEIRLOOM_TEST_PATIENCE=1s")
	said := make(chan string, 1)
	go func() {
		out, _ := d.run("reload")
		said <- out
	}()
	d.eventually("the successor to start", func() bool { return len(d.processes()) == 2 })
	pid := d.status().PID
	d.freeze(pid)
	if out := <-said; !strings.Contains(out, "the service does not answer within 1s") {
		t.Errorf("reload says %q", out)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
