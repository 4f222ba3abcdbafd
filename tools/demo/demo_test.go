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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	demo "github.com/heirloom-go/heirloom/tools/demo"
)

// These variables make the test binary the demo itself, or a program for the
// demo that answers wrongly now and then. The value of the first is the name of
// the test, and is inherited by every process that the demo starts, directly or
// not.
const (
	roleVariable  = "HEIRLOOM_DEMO_ROLE"
	wrongVariable = "HEIRLOOM_DEMO_WRONG"
)

// hello is examples/hello, built once.
var hello string

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(wrongVariable) != "":
		if err := serveWrongly(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case os.Getenv(roleVariable) != "":
		demo.Main()
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heirloom-demo-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		hello = filepath.Join(dir, "hello")
		cmd := exec.Command("go", "build", "-o", hello, "github.com/heirloom-go/heirloom/examples/hello")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as other tests build it
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return leakcheck.Run(m.Run)
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

// start starts the demo on hello, unless args name another program.
func start(t *testing.T, args ...string) *performance {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, read, write, &syscall.SysProcAttr{Setpgid: true}, append([]string{"-program", hello}, args...)...)
}

// startOn starts the demo with write as its standard output, which is closed
// here, and read is the other end of.
func startOn(t *testing.T, read, write *os.File, attributes *syscall.SysProcAttr, args ...string) *performance {
	t.Helper()
	defer func() { _ = write.Close() }()
	p := &performance{t: t, role: fmt.Sprintf("%s=%s-%d", roleVariable, t.Name(), os.Getpid())}
	p.pipe, p.lines = read, bufio.NewScanner(read)
	t.Cleanup(func() { _ = read.Close() })
	// The demo makes its folder in TMPDIR, so that the test sees whether it is
	// removed.
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), p.role, "TMPDIR="+t.TempDir(), "GORACE=atexit_sleep_ms=0", "TERM=xterm", "NO_COLOR=")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = write, write, &p.stderr
	p.cmd.SysProcAttr = attributes
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leakcheck.Kill(p.role) }) // what a test leaves that gives up
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

// end reads the rest, waits for the demo to end with that exit status, and
// looks for what it left behind.
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
	for _, pid := range leakcheck.Started(p.role) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		p.t.Errorf("process %d is left: %q", pid, line)
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

// TestWhole has the demo build hello as well.
func TestWhole(t *testing.T) {
	p := start(t, "-program", "", "-reloads", "2", "-pause", "200ms")
	for _, way := range []string{"beside", "in place"} {
		p.waitFor("^" + way + ": ")
		first := p.waitFor(`^reload 1  hello: generation 2 \(pid ([0-9]+)\) serves, after `)
		second := p.waitFor(`^reload 2  hello: generation 3 \(pid ([0-9]+)\) serves, after `)
		if same := first[1] == second[1]; same != (way == "in place") {
			t.Errorf("%s: processes %s and %s", way, first[1], second[1])
		}
		p.waitFor(`^hello +generation 3, ready for`) // hello status
		p.waitFor(`^SIGTERM: the last process has ended`)
		p.waitFor(`^keep-alive +50 +[0-9]+ +0 +50 `)
	}
	p.end(0)
	p.check(&p.stdout, " 0 broken, ")
	p.check(&p.stdout, " 6 generations\n")
	if p.stderr.Len() > 0 {
		t.Errorf("standard error is %q", &p.stderr)
	}
	if strings.Contains(p.stdout.String(), "\x1b") {
		t.Errorf("there are colours in what is not for a terminal: %q", &p.stdout)
	}
	checkFigures(t, p.stdout.String())
}

// figuresIn reads the table of latency below each act of a picture.
func figuresIn(picture string) (tables [][][]string) {
	inAct := false
	for line := range strings.Lines(picture) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "answers by generation"):
			inAct = true
			tables = append(tables, nil)
		case inAct && len(words) > 7:
			name := words[0]
			if strings.HasPrefix(name, "─") || strings.HasPrefix(name, "┴") {
				name, inAct = "all", false
			}
			last := &tables[len(tables)-1]
			*last = append(*last, append([]string{name}, words[len(words)-7:]...))
		}
	}
	return tables
}

// checkFigures fails the test for a reload whose figures are missing. In the
// fifth of a second before a reload, or after it, a machine may be so busy that
// no request ends: of both reloads together there has to be each figure.
// TestLatencies has those of one.
func checkFigures(t *testing.T, picture string) {
	t.Helper()
	tables := figuresIn(picture)
	if len(tables) != 2 {
		t.Fatalf("there are pictures of %d acts, want 2:\n%s", len(tables), picture)
	}
	for _, table := range tables {
		for i, row := range table {
			missing := i == 2 && slices.Contains(row, "-")
			if len(table) != 3 || len(row) != 8 || missing || i < 2 && row[0] != strconv.Itoa(i+2) {
				t.Errorf("figures are %q", table)
			}
		}
	}
}

// TestInterrupted interrupts each of the two ways. There are far more reloads
// than are done meanwhile; but for the second way those of the first have to
// end.
func TestInterrupted(t *testing.T) {
	for _, test := range []struct {
		sig            syscall.Signal
		way            string
		reloads, pause string
	}{
		{syscall.SIGINT, "beside", "1000", "50ms"},
		{syscall.SIGTERM, "in place", "12", "200ms"},
		{syscall.SIGHUP, "beside", "1000", "50ms"},
	} {
		t.Run(test.sig.String(), func(t *testing.T) {
			p := start(t, "-reloads", test.reloads, "-pause", test.pause)
			p.waitFor("^" + test.way + ": ")
			p.waitFor(`^reload 2 `)
			// A terminal signals the whole process group.
			if err := syscall.Kill(-p.cmd.Process.Pid, test.sig); err != nil {
				t.Fatal(err)
			}
			p.end(1)
			p.check(&p.stderr, test.way+": interrupted after ")
			p.check(&p.stderr, "of "+test.reloads+" reloads")
			p.check(&p.stdout, " 0 broken, ")
		})
	}
}

// TestNobodyListens closes the demo's standard output, as head does.
func TestNobodyListens(t *testing.T) {
	p := start(t, "-reloads", "1000", "-pause", "50ms")
	p.waitFor(`^reload 1 `)
	if err := p.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	p.end(1)
}

// TestKilledGeneration sees to it that the demo does fail when requests break.
// The next reload is so far away that the generation is still there to be
// killed, so nobody waits for that one: the demo is interrupted instead when it
// has shown that requests broke.
func TestKilledGeneration(t *testing.T) {
	p := start(t, "-reloads", "2", "-pause", patience.Of(5*time.Second).String())
	parts := p.waitFor(`^reload 1  hello: generation 2 \(pid ([0-9]+)\)`)
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	p.waitFor(`^ +[0-9]+ s `) // it has answered by then, and is not replaced yet
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.waitFor(`^ +[0-9]+ s .* [1-9][0-9]* broken`)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
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
	p := start(t, "-program", "/bin/false")
	p.end(1)
	p.check(&p.stderr, "beside: hello did not start: process ")
	p.check(&p.stderr, "exit status 1")
}
