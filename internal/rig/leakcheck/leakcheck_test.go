package leakcheck_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// roleVariable makes the test binary a test run that leaves something behind.
const roleVariable = "HEIRLOOM_LEAKCHECK_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if role != "nothing" {
			leakcheck.ShortenLimit()
		}
		os.Exit(leakcheck.Run(func() int { return leave(role) }))
	}
	leakcheck.Main(m)
}

// kept keeps what leaked from being collected.
var kept any

func leave(what string) int {
	switch what {
	case "descriptor":
		kept, _ = os.Open(os.Args[0])
	case "goroutine":
		go func() { select {} }()
	case "grandchild": // its parent ends
		_ = exec.Command("sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!; exit 0").Run()
	case "zombie":
		leaveZombie()
	case "failure":
		go func() { select {} }()
		return 3
	}
	return 0
}

// leaveZombie starts a process, and returns when it has ended.
func leaveZombie() {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		return
	}
	patience.Until(30*time.Second, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestRun leaves something on purpose, and looks for it in what is said.
func TestRun(t *testing.T) {
	for what, want := range map[string]string{
		"nothing":    "",
		"descriptor": "descriptor ",
		"goroutine":  "leakcheck_test.leave",
		"grandchild": "sleep 600",
		"zombie":     "not waited for: true",
	} {
		t.Run(what, func(t *testing.T) {
			if runtime.GOOS != "linux" && what != "nothing" && what != "goroutine" {
				t.Skip("there is no /proc")
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"="+what)
			out, err := cmd.CombinedOutput()
			endSleeper(out)
			if (err != nil) != (want != "") || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q: %s", err, want, out)
			}
		})
	}
}

// endSleeper ends the process that is listed, which this process has not
// started itself.
func endSleeper(out []byte) {
	for line := range strings.Lines(string(out)) {
		if pid, found := strings.CutPrefix(line, "process "); found && strings.Contains(line, "sleep 600") {
			pid, _, _ = strings.Cut(pid, ":")
			_ = exec.Command("kill", pid).Run()
		}
	}
}

func TestFailureIsNotChecked(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=failure")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || len(out) > 0 {
		t.Errorf("%v, want status 3: %s", err, out)
	}
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	cleanup []func()
	failed  bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Cleanup(f func())      { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestCheck(t *testing.T) {
	defer leakcheck.ShortenLimit()()
	opened, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		leave  func()
		leaves bool
	}{
		"nothing":    {func() {}, false},
		"goroutine":  {func() { end := make(chan struct{}); t.Cleanup(func() { close(end) }); go func() { <-end }() }, true},
		"descriptor": {func() { f, _ := os.Open(os.Args[0]); t.Cleanup(func() { _ = f.Close() }) }, runtime.GOOS == "linux"},
		"closed":     {func() { _ = opened.Close() }, runtime.GOOS == "linux"},
	} {
		r := &recorder{TB: t}
		leakcheck.Check(r)
		test.leave()
		for _, f := range r.cleanup {
			f()
		}
		if r.failed != test.leaves {
			t.Errorf("%s: failed is %v", name, r.failed)
		}
	}
}

// TestCheckWaits has an earlier test close a descriptor when Check is called
// already.
func TestCheckWaits(t *testing.T) {
	opened, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		time.Sleep(100 * time.Millisecond)
		_ = opened.Close()
	}()
	r := &recorder{TB: t}
	leakcheck.Check(r)
	<-closed
	for _, f := range r.cleanup {
		f()
	}
	if r.failed {
		t.Error("an earlier test's descriptor is counted as one that this one has closed")
	}
}
