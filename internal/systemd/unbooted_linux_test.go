package systemd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	roles["unbooted"] = func() error { return askUnder() }
	roles["booted"] = func() error { return askUnder("/run/systemd/system") }
}

// askUnder hides /run, which must be of a mount namespace of this process, and
// asks.
func askUnder(folders ...string) error {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(ask())
}

// TestUnbooted asks where no systemd is to be seen, and where one is without
// its sockets.
func TestUnbooted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no mount namespace")
	}
	for role, want := range map[string]string{"unbooted": "unsupported not-exist", "booted": "unanswered not-exist"} {
		t.Run(role, func(t *testing.T) {
			command := exec.Command(os.Args[0])
			command.Env = []string{roleVariable + "=" + role, "GORACE=atexit_sleep_ms=0"}
			// Mounts made in it stay in it.
			command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			var r report
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			if r.Ends || strings.Join(r.Matches, " ") != want {
				t.Errorf("told %+v, want an error that is %s", r, want)
			}
		})
	}
}
