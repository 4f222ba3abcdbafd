package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// block returns the README's first code block of that language after a text.
func block(t *testing.T, after, language string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.QuoteMeta(after) + "(?s:.*?)\n```" + language + "\n((?s:.*?))```\n"
	parts := regexp.MustCompile(pattern).FindSubmatch(readme)
	if parts == nil {
		t.Fatalf("the README has no %s block after %q", language, after)
	}
	return string(parts[1])
}

// TestReadmeProgram sees to it that the README shows the program as it is,
// which therefore compiles, and is what the other tests run.
func TestReadmeProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := block(t, "## The program", "go"); got != string(program) {
		t.Errorf("the README's program is not main.go:\n%s", got)
	}
}

const (
	service = "/etc/systemd/system/hello.service"
	socket  = "/etc/systemd/system/hello.socket"
)

// TestReadmeUnit does on each systemd what the README says of its units.
func TestReadmeUnit(t *testing.T) {
	v1, v2 := build(t, "v1"), build(t, "v2")
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			m := sdtest.Boot(t, v)
			m.Install(v1, "/usr/bin/hello")
			m.Install(v2, "/usr/local/bin/good")
			m.WriteFile(service, block(t, "`"+service+"`", "ini"), 0o644)
			m.WriteFile(socket, block(t, "`"+socket+"`", "ini"), 0o644)
			m.MustRun("systemctl", "daemon-reload")
			m.MustRun("systemctl", "enable", "--now", "hello.service")

			target := loadtest.Target{Address: "127.0.0.1:8080", Dial: m.Dial, IdleFor: 100 * time.Millisecond}
			crowd := loadtest.OfEach(1)
			crowd[loadtest.KeepAlive] = 10
			load := loadtest.Start(target, crowd)
			reload(t, m, load, v2)
			failReload(t, m)
			restart(t, m, load)
			report := load.Stop()
			loadtest.Verify(t, report)
			for _, class := range report.ByClass {
				if class.Class == loadtest.KeepAlive && class.Connections != class.Clients {
					t.Errorf("%d keep-alive clients needed %d connections", class.Clients, class.Connections)
				}
			}
			m.MustRun("systemctl", "stop", "hello.service")
			if result := m.Property("hello.service", "Result"); result != "success" {
				t.Errorf("result of the stop is %s", result)
			}
		})
	}
}

func build(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), version)
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for systems with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func status(t *testing.T, m *sdtest.Machine, program string) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun(program, "status", "-json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// reload replaces the program, and expects the new one to serve when systemctl
// returns.
func reload(t *testing.T, m *sdtest.Machine, load *loadtest.Run, program string) {
	t.Helper()
	waitGeneration(t, load, 1)
	m.Install(program, "/usr/bin/hello")
	m.MustRun("systemctl", "reload", "hello")
	if s := status(t, m, "hello"); s.Generation != 2 || s.Version != "v2" || s.State != lifecycle.Ready {
		t.Errorf("status is %+v", s)
	}
	waitGeneration(t, load, 2)
}

// failReload installs a program of which only the commands work.
func failReload(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	before := m.Property("hello.service", "MainPID")
	m.WriteFile("/usr/bin/hello", "#!/bin/sh\n[ $# -gt 0 ] && exec /usr/local/bin/good \"$@\"\nexit 3\n", 0o755)
	if out, err := m.Run("systemctl", "reload", "hello"); err == nil {
		t.Errorf("the reload succeeded: %s", out)
	}
	// The daemon tells systemd that it is ready again, and why. systemctl does
	// not wait until that is read.
	m.Wait("the daemon to be ready again", func() bool {
		return m.Property("hello.service", "ActiveState") == "active" && strings.Contains(m.Property("hello.service", "StatusText"), "failed")
	})
	if after := m.Property("hello.service", "MainPID"); after != before {
		t.Errorf("the main process is %s, was %s", after, before)
	}
	display, _ := m.Run("systemctl", "status", "--no-pager", "hello") // its exit status tells of the unit
	for _, text := range []string{display, m.MustRun("hello", "status")} {
		if !strings.Contains(text, "ended before it was ready") {
			t.Errorf("the reason is missing:\n%s", text)
		}
	}
	m.MustRun("cp", "--remove-destination", "/usr/local/bin/good", "/usr/bin/hello")
	checkPriorities(t, m)
}

// checkPriorities expects that whoever asks the journal for warnings gets those
// of the daemon, and nothing else of it.
func checkPriorities(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	all := m.Journal("_SYSTEMD_UNIT=hello.service", "-o", "cat")
	warnings := m.Journal("_SYSTEMD_UNIT=hello.service", "-o", "cat", "-p", "warning")
	for text, isWarning := range map[string]bool{"[INFO]  hello: ready": false, "ended before it was ready": true} {
		if !strings.Contains(all, text) || strings.Contains(warnings, text) != isWarning {
			t.Errorf("the journal has, of %q, as a warning (%t):\n%s\nof all:\n%s", text, isWarning, warnings, all)
		}
	}
	if strings.Contains(all, "<6>") || strings.Contains(all, "<4>") {
		t.Errorf("the journal has priorities as text:\n%s", all)
	}
}

// restart expects the clients to wait for the next process.
func restart(t *testing.T, m *sdtest.Machine, load *loadtest.Run) {
	t.Helper()
	m.MustRun("systemctl", "restart", "hello")
	if s := status(t, m, "hello"); s.Generation != 3 {
		t.Errorf("status is %+v", s)
	}
	waitGeneration(t, load, 3)
}

func waitGeneration(t *testing.T, load *loadtest.Run, n int) {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), 30*time.Second)
	defer cancel()
	if err := load.WaitGeneration(ctx, n); err != nil {
		t.Error(err)
	}
}
