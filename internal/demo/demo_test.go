//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	demo "github.com/heirloom-go/heirloom/internal/demo"
)

// roleVariable makes the test binary the demo itself. Its value is the name of the test, and is inherited by every process
// that the demo starts, directly or not.
const roleVariable = "HEIRLOOM_DEMO_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		demo.Main()
		return
	}
	os.Exit(m.Run())
}

// A performance is a running demo.
type performance struct {
	t      *testing.T
	cmd    *exec.Cmd
	role   string
	lines  *bufio.Scanner
	stdout bytes.Buffer // what was read of it
	stderr bytes.Buffer
	pipe   *os.File
}

func start(t *testing.T, args ...string) *performance {
	t.Helper()
	p := &performance{t: t, role: fmt.Sprintf("%s=%s-%d", roleVariable, t.Name(), os.Getpid())}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = write.Close() }()
	p.pipe, p.lines = read, bufio.NewScanner(read)
	t.Cleanup(func() { _ = read.Close() })
	// The demo makes its folder in TMPDIR, so that the test sees whether it is removed.
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), p.role, "TMPDIR="+t.TempDir())
	p.cmd.Stdout, p.cmd.Stderr = write, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// waitFor reads lines until one matches, and returns the parts of it that do.
func (p *performance) waitFor(pattern string) []string {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	for p.lines.Scan() {
		fmt.Fprintln(&p.stdout, p.lines.Text())
		if parts := expression.FindStringSubmatch(p.lines.Text()); parts != nil {
			return parts
		}
	}
	err := p.cmd.Wait()
	p.t.Fatalf("the demo ended (%v) without a line like %s:\n%s%s", err, pattern, &p.stdout, &p.stderr)
	return nil
}

// end reads the rest, waits for the demo to end with that exit status, and looks for what it left behind.
func (p *performance) end(status int) {
	p.t.Helper()
	for p.lines.Scan() {
		fmt.Fprintln(&p.stdout, p.lines.Text())
	}
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Errorf("exit status is %d, want %d:\n%s%s", got, status, &p.stdout, &p.stderr)
	}
	p.checkNothingLeft()
}

func (p *performance) checkNothingLeft() {
	p.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, path := range all {
		if env, err := os.ReadFile(path); err == nil && strings.Contains(string(env), p.role+"\x00") {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			p.t.Errorf("%s is left: %q", filepath.Dir(path), line)
		}
	}
	for _, v := range p.cmd.Env {
		if dir, ok := strings.CutPrefix(v, "TMPDIR="); ok {
			if left, err := filepath.Glob(filepath.Join(dir, "heirloom-demo-*")); err != nil || len(left) > 0 {
				p.t.Errorf("left in the folder for temporary files: %q, %v", left, err)
			}
		}
	}
}

func (p *performance) check(where fmt.Stringer, want string) {
	p.t.Helper()
	if !strings.Contains(where.String(), want) {
		p.t.Errorf("output lacks %q:\n%s%s", want, &p.stdout, &p.stderr)
	}
}

func TestWhole(t *testing.T) {
	p := start(t, "-reloads", "3", "-every", "200ms")
	p.waitFor(`^reload 3  hello: generation 4 \(pid [0-9]+\) serves, after `)
	p.waitFor(`^hello +generation 4, ready for`) // hello status
	p.waitFor(`^SIGTERM: the last process has ended`)
	p.end(0)
	p.check(&p.stdout, " 0 broken, ")
	p.check(&p.stdout, " 4 generations\n")
	if p.stderr.Len() > 0 {
		t.Errorf("standard error is %q", &p.stderr)
	}
}

func TestInterrupted(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t, "-reloads", "1000", "-every", "50ms")
			p.waitFor(`^reload 2 `)
			// A terminal signals the whole process group.
			if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil {
				t.Fatal(err)
			}
			p.end(1)
			p.check(&p.stderr, "of 1000 reloads")
			p.check(&p.stdout, " 0 broken, ")
		})
	}
}

// TestNobodyListens closes the demo's standard output, as head does.
func TestNobodyListens(t *testing.T) {
	p := start(t, "-reloads", "1000", "-every", "50ms")
	p.waitFor(`^reload 1 `)
	if err := p.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	p.end(1)
}

// TestKilledGeneration sees to it that the demo does fail when requests break.
func TestKilledGeneration(t *testing.T) {
	p := start(t, "-reloads", "2", "-every", "700ms")
	parts := p.waitFor(`^reload 1  hello: generation 2 \(pid ([0-9]+)\)`)
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	p.waitFor(`^ +1 s `)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.end(1)
	p.check(&p.stderr, "requests are broken")
	p.check(&p.stderr, fmt.Sprintf("process %d was killed by signal killed", pid))
	p.check(&p.stdout, "what hello wrote:")
}

func TestStubborn(t *testing.T) {
	dir := t.TempDir()
	program, deaf := filepath.Join(dir, "stubborn"), filepath.Join(dir, "deaf")
	if err := syscall.Mkfifo(deaf, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ntrap '' TERM\necho >'" + deaf + "'\nwhile :; do sleep 1; done\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	group, err := demo.RunStubborn(program, dir, func() {
		if _, err := os.ReadFile(deaf); err != nil { // which waits for the script to open it
			t.Error(err)
		}
	})
	if !errors.Is(err, demo.ErrLeft) {
		t.Errorf("error is %v, want %v", err, demo.ErrLeft)
	}
	if err := syscall.Kill(-group, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process group %d: %v, want %v", group, err, syscall.ESRCH)
	}
}

// TestNoStart has a program that ends at once.
func TestNoStart(t *testing.T) {
	err := demo.StartAndWait(t.Context(), "/bin/false", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "hello did not start: process ") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("error is %v", err)
	}
}
