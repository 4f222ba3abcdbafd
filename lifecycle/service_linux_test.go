package lifecycle_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestHostileEnvironment starts the daemon with variables that lie to it: it
// says so, and does not serve by accident.
func TestHostileEnvironment(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		says string
	}{
		{"a count that is none", []string{"LISTEN_FDS=many", "HEIRLOOM_PREDECESSOR=1"}, "LISTEN_FDS"},
		{"a notify socket that is none", []string{"NOTIFY_SOCKET=nowhere"}, "NOTIFY_SOCKET"},
		{"no certificate", []string{"HEIRLOOM_TEST_TLS=bad"}, "TLSConfig has no certificate"},
		{"no such network", []string{"HEIRLOOM_TEST_LISTEN=smoke!signals"}, "smoke"},
		{"no such address", []string{"HEIRLOOM_TEST_LISTEN=tcp!nowhere"}, "nowhere"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := patience.Context(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=daemon", "RUNTIME_DIRECTORY="+t.TempDir(),
				"HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:0", "GORACE=atexit_sleep_ms=0")
			cmd.Env = append(cmd.Env, test.env...)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.says) || strings.Contains(string(out), "panic") {
				t.Errorf("it ended with %v and said %q, want a failure that names %s", err, out, test.says)
			}
		})
	}
}

// TestFalsePredecessor starts the daemon with the variables of a reload, but
// without the predecessor's socket.
func TestFalsePredecessor(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_PREDECESSOR=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=heirloom")
	if s := d.status(); s.Generation != 1 {
		t.Errorf("generation %d serves, want the first", s.Generation)
	}
	d.eventually("the log to say that the variables were ignored", func() bool { return strings.Contains(d.logged(), "ignored") })
	d.reload()
}
