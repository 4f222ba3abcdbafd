package lifecycle_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestCommandErrors(t *testing.T) {
	missing := lifecycle.Options{Name: "test", ControlSocket: t.TempDir() + "/control"}
	for _, args := range [][]string{nil, {"restart"}, {"reload", "now"}, {"status", "-yaml"}, {"status", "-json", "-json"}} {
		if err := lifecycle.Command(background, missing, args, nil); !errors.Is(err, lifecycle.ErrUsage) {
			t.Errorf("%q: %v, want ErrUsage", args, err)
		}
	}
	for _, args := range [][]string{{"reload"}, {"status"}, {"status", "-json"}} {
		err := lifecycle.Command(background, missing, args, new(bytes.Buffer))
		if !errors.Is(err, lifecycle.ErrNotRunning) || !strings.Contains(err.Error(), missing.ControlSocket) {
			t.Errorf("%q: %v, want ErrNotRunning and the path", args, err)
		}
	}
}

// TestCommand commands a service as its own user, and is told of a failed
// reload.
func TestCommand(t *testing.T) {
	d := startLocal(t, "tcp")
	options := lifecycle.Options{Name: "daemon", ControlSocket: d.dir + "/control"}
	var out bytes.Buffer
	if err := lifecycle.Command(background, options, []string{"reload"}, &out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "generation 2 (pid ") {
		t.Errorf("reload says %q", text)
	}
	if err := os.WriteFile(d.dir+"/kill", []byte("3 take over"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := lifecycle.Command(background, options, []string{"reload"}, &out)
	if !errors.Is(err, lifecycle.ErrReload) || !strings.Contains(err.Error(), "ended before it was ready") {
		t.Errorf("a reload whose successor is killed: %v, want ErrReload and the reason", err)
	}
	out.Reset()
	if err := lifecycle.Command(background, options, []string{"status"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"generation 2, ready", "failed", "ended before it was ready"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status has no %q:\n%s", want, out.String())
		}
	}
}

// TestControlRefusesOthers asks as a user who is neither root nor that of the
// service, and who is refused by the service, or by the kernel before.
func TestControlRefusesOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot ask as another user")
	}
	d := startLocal(t, "tcp")
	if err := os.Chmod(d.dir+"/control", 0o777); err != nil {
		t.Fatal(err)
	}
	program := fmt.Sprintf("/tmp/%s-%d", t.Name(), os.Getpid())
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = writeProgram(program, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(program)
	if err := os.Chmod(d.dir+"/..", 0o755); err != nil {
		t.Fatal(err)
	}
	for refusal, mode := range map[string]os.FileMode{"": 0o777, "permission denied": 0o700} {
		if err := os.Chmod(d.dir, mode); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"reload"}, {"status"}} {
			cmd := exec.Command(program, args...)
			cmd.Env = d.env
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "only root and the user of the service may ask") || !strings.Contains(string(out), refusal) {
				t.Errorf("%q as another user: %v, %s", args, err, out)
			}
		}
	}
	if s := d.status(); s.Generation != 1 {
		t.Errorf("generation %d serves after a refused reload", s.Generation)
	}
}

// TestJoinedReloads asks for many reloads at once: all of them are answered, by
// fewer reloads.
func TestJoinedReloads(t *testing.T) {
	d := startLocal(t, "tcp")
	var wg sync.WaitGroup
	const asked = 20
	for range asked {
		wg.Go(func() {
			if out, err := d.command("reload"); err != nil {
				t.Errorf("reload: %v: %s", err, out)
			}
		})
	}
	wg.Wait()
	d.eventually("one process to be left", func() bool { return len(d.processes()) == 1 })
	if s := d.status(); s.Generation < 2 || s.Generation > asked+1 {
		t.Errorf("generation %d after %d reloads", s.Generation, asked)
	}
}

// TestHangingPredecessor has a predecessor that does not answer: status must
// not hang with it.
func TestHangingPredecessor(t *testing.T) {
	d := startLocal(t, "tcp")
	busy := d.hold()
	first := d.status().PID
	d.reload()
	d.freeze(first)
	for range 3 {
		s := d.status() // which does not end otherwise: the request lasts until it has
		if len(s.Predecessors) != 1 || s.Predecessors[0].Error == "" {
			t.Errorf("predecessors %+v, want one with an error", s.Predecessors)
		}
	}
	if err := syscall.Kill(first, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.release()
	busy.answer(1)
	d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
}
