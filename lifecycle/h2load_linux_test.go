package lifecycle_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestManyHandshakes reloads while hundreds of clients of TLS connect, each for
// one request, and none may linger. The processor is theirs for most of that
// time, so at each moment there are connections of which nothing has come yet,
// and others in the middle of their handshake.
func TestManyHandshakes(t *testing.T) {
	program, err := exec.LookPath("h2load")
	if err != nil {
		t.Skip("h2load is missing")
	}
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_LINGER=1ms", "HEIRLOOM_TEST_DRAIN=10m", "HEIRLOOM_TEST_SILENCE=5m")
	load := exec.Command(program, "--h1", "-c", "400", "-n", "400", "https://"+d.address+"/")
	var out strings.Builder
	load.Stdout, load.Stderr = &out, &out
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- load.Wait() }()
	reloads := 0
	for end := false; !end; {
		select {
		case err = <-done:
			end = true
		default:
			d.reload()
			reloads++
		}
	}
	if err != nil || !strings.Contains(out.String(), "400 succeeded, 0 failed, 0 errored, 0 timeout") {
		t.Errorf("%v after %d reloads:\n%s", err, reloads, out.String())
	}
	t.Logf("%d reloads", reloads)
}
