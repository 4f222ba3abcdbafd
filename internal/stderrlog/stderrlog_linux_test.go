package stderrlog

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain is the program that logs as well.
func TestMain(m *testing.M) {
	if os.Getenv("STDERRLOG_TEST") != "" {
		New("daemon").Info("said")
		return
	}
	os.Exit(m.Run())
}

// TestIsJournal has a program find out whether its standard error is what
// JOURNAL_STREAM speaks of.
func TestIsJournal(t *testing.T) {
	for name, test := range map[string]struct {
		stream func(file string) string
		want   bool
	}{
		"the journal":      {func(file string) string { return file }, true},
		"another file":     {func(string) string { return "1:2" }, false},
		"not understood":   {func(string) string { return "journal" }, false},
		"no such variable": {func(string) string { return "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := os.CreateTemp(t.TempDir(), "stderr")
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			var stat syscall.Stat_t
			if err := syscall.Fstat(int(out.Fd()), &stat); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Stderr = out
			cmd.Env = append(os.Environ(), "STDERRLOG_TEST=1", "JOURNAL_STREAM="+test.stream(fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)))
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(out.Name())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.HasPrefix(string(text), "<6>"); got != test.want || !strings.Contains(string(text), "said") {
				t.Errorf("wrote %q, want a priority: %t", text, test.want)
			}
		})
	}
}
