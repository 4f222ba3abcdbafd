package lifecycle_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// startInPlace starts a daemon that is replaced in place, from a copy of its
// program of which the test may dispose.
func startInPlace(t *testing.T, env ...string) (d *local, program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "daemon")
	copyProgram(t, os.Args[0], program)
	return startLocal(t, "tcp", append(env, "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_PROGRAM="+program)...), program
}

// copyProgram puts a program in place as package managers do.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = writeProgram(to+".new", data)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeProgram writes a file to be executed. No process may be started here
// meanwhile: it would hold the file open for writing until its execve, and the
// program would be "text file busy" (golang/go issue 22315).
func writeProgram(path string, data []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, data, 0o755)
}

// reloadInBackground starts a reload and returns what came of it.
func (d *local) reloadInBackground() <-chan error {
	result := make(chan error, 1)
	go func() {
		out, err := d.command("reload")
		if err != nil {
			err = errors.Join(err, errors.New(out))
		}
		result <- err
	}()
	return result
}

// drains waits until the reload has got as far as to finish what was begun.
func (d *local) drains() {
	d.t.Helper()
	d.eventually("the drain", func() bool { return strings.Contains(d.logged(), "draining: ") })
}

// TestInPlaceFinishesFirst answers what was begun by the old program, and all
// else by the new one, over the same connections.
func TestInPlaceFinishesFirst(t *testing.T) {
	d, _ := startInPlace(t)
	pid := d.status().PID
	idle := d.dial()
	idle.ask("/")
	idle.answer(1)
	slow := d.hold()
	result := d.reloadInBackground()
	d.drains()
	idle.ask("/")
	late := d.dial()
	late.ask("/")
	idle.staysUnanswered(patience.Of(time.Second))
	d.release()
	slow.answer(1)
	for _, c := range []*client{idle, late} {
		if c.answer(2) {
			t.Error("a connection is closed after its answer")
		}
	}
	slow.ask("/")
	slow.answer(2)
	if err := <-result; err != nil {
		t.Error(err)
	}
	if s := d.status(); s.PID != pid || s.LastReload == nil || s.LastReload.Result != "done" || s.Generation != 2 {
		t.Errorf("status %+v after %+v, want generation 2 with process %d", s, s.LastReload, pid)
	}
}

// TestInPlaceStopped is told to stop while it drains in order to be replaced:
// what was queued is served here, for the last time.
func TestInPlaceStopped(t *testing.T) {
	d, _ := startInPlace(t, "HEIRLOOM_TEST_LINGER="+span(5*time.Second)) // within which a client asks
	pid := d.status().PID
	idle := []*client{d.dial(), d.dial(), d.dial()}
	for _, c := range idle {
		c.ask("/")
		c.answer(1)
	}
	slow := d.hold()
	result := d.reloadInBackground()
	d.drains()
	idle[0].ask("/")
	idle[0].staysUnanswered(patience.Of(time.Second))
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	idle[1].ask("/")
	for _, c := range idle[:2] {
		if !c.answer(1) {
			t.Error("the last answer does not say so")
		}
	}
	d.release()
	slow.answer(1)
	slow.closed()
	idle[2].closed()
	if err := d.awaitExit(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if err := <-result; err == nil {
		t.Error("the reload succeeded, of a service that was stopped")
	}
}

// TestInPlaceTimesOut closes what does not end in time, and goes on.
func TestInPlaceTimesOut(t *testing.T) {
	d, _ := startInPlace(t, "HEIRLOOM_TEST_DRAIN=300ms")
	slow := d.dial()
	d.underWay(slow, "/sleep?d=1h")
	d.reload()
	slow.closed()
	c := d.dial()
	c.ask("/")
	c.answer(2)
}

// TestInPlaceRefused has no program to go on with, and therefore goes on as it
// is.
func TestInPlaceRefused(t *testing.T) {
	d, program := startInPlace(t)
	c := d.dial()
	c.ask("/")
	c.answer(1)
	for name, spoil := range map[string]func() error{
		"missing":        func() error { return os.Rename(program, program+".away") },
		"no program":     func() error { return os.WriteFile(program, []byte("hello"), 0o755) },
		"not executable": func() error { return os.Chmod(program, 0o644) },
		"directory":      func() error { return errors.Join(os.Remove(program), os.Mkdir(program, 0o755)) },
	} {
		if err := errors.Join(spoil()); err != nil {
			t.Fatal(err)
		}
		out, err := d.command("reload")
		if err == nil || !strings.Contains(out, program) {
			t.Errorf("%s: reload says %q, %v, want the path", name, out, err)
		}
		_ = os.Remove(program)
		copyProgram(t, os.Args[0], program)
	}
	c.ask("/")
	c.answer(1)
	d.reload()
	c.ask("/")
	c.answer(2)
}

// TestInPlaceProgramVanishes loses the program after it was checked: what was
// checked runs nevertheless, and the reload tells.
func TestInPlaceProgramVanishes(t *testing.T) {
	d, program := startInPlace(t)
	c, slow := d.dial(), d.hold()
	result := d.reloadInBackground()
	d.drains()
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	c.ask("/")
	c.staysUnanswered(patience.Of(time.Second))
	d.release()
	slow.answer(1)
	c.answer(2)
	if err := <-result; err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("reload: %v, want the reason", err)
	}
	if s := d.status(); s.LastReload == nil || s.LastReload.Result != "failed" {
		t.Errorf("last reload %+v, want one that failed", s.LastReload)
	}
}

// TestInPlaceProgramFails cannot be undone, but is not called a success.
func TestInPlaceProgramFails(t *testing.T) {
	d, program := startInPlace(t)
	path, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	copyProgram(t, path, program)
	if out, err := d.command("reload"); err == nil || !strings.Contains(out, "does not answer") {
		t.Errorf("reload says %q, %v", out, err)
	}
	if err := d.awaitExit(); err == nil {
		t.Error("the process ended well")
	}
}

// TestInPlaceAskedOften has many ask at once, by command and by signal: each is
// satisfied.
func TestInPlaceAskedOften(t *testing.T) {
	d, _ := startInPlace(t)
	c := d.dial()
	var results []<-chan error
	for range 8 {
		results = append(results, d.reloadInBackground())
		_ = syscall.Kill(d.status().PID, syscall.SIGHUP)
		c.ask("/")
		_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
		if line, err := c.reader.ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
			t.Fatalf("answer %q, %v", line, err)
		}
		for line := ""; !strings.HasPrefix(line, "hello"); {
			var err error
			if line, err = c.reader.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// TestInPlaceAskedInDryRun asks while the dry run that Options.DryRun puts first
// is under way: the replacement that follows is what each has asked for.
func TestInPlaceAskedInDryRun(t *testing.T) {
	d, _ := startInPlace(t, "HEIRLOOM_TEST_DRY_RUN=yes")
	d.write("hold", "1 started")
	results := []<-chan error{d.reloadInBackground()}
	d.awaitFile("held")
	const more = 4
	open := len(sockets(d.first))
	for range more {
		results = append(results, d.reloadInBackground())
	}
	d.eventually("the others to ask", func() bool { return len(sockets(d.first)) >= open+more })
	if s := d.status(); s.State != lifecycle.Reloading {
		t.Errorf("status %+v, want a reload", s)
	}
	if err := os.Remove(filepath.Join(d.dir, "hold")); err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	if s := d.status(); s.Generation != 2 {
		t.Errorf("generation %d serves, want one reload for all", s.Generation)
	}
}

// TestInPlaceSlowStart has the new program take a while until it is ready,
// which is a part of the reload.
func TestInPlaceSlowStart(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=phases", "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_READY=400ms")
	d.reload()
	if l := d.status().LastReload; l == nil || l.Seconds < 0.4 {
		t.Errorf("last reload %+v, want one of 400 ms and more", l)
	}
}
