package lifecycle_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// TestSquatted: another user was first where the control socket would be in
// /tmp. The service says so and serves, and the command does not talk to that
// user, whatever listens there.
func TestSquatted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot be another user")
	}
	tmp := filepath.Join(t.TempDir(), "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for dir := tmp; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // for the service, which is not root
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(tmp), "daemon")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = writeProgram(program, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	squatted := filepath.Join(tmp, "daemon-"+strconv.Itoa(nobody))
	if err := os.Mkdir(squatted, 0o755); err != nil { // by root, who is another user to the service
		t.Fatal(err)
	}
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{"HEIRLOOM_TEST_ROLE=daemon", "TMPDIR=" + tmp, "HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:0", "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	var log safeBuffer
	service := run()
	service.Stdout, service.Stderr = &log, &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	if err := eventually(func() bool { return strings.Contains(log.String(), "ready: generation=1") }); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"[WARN]", "no control socket", squatted + " belongs to user 0", "Options.ControlSocket"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log.String())
		}
	}
	out, err := run("status").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the service is not running") || !strings.Contains(string(out), "not this user's own") {
		t.Errorf("status: %v, %s", err, out)
	}
	_ = service.Process.Signal(syscall.SIGTERM)
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
}
