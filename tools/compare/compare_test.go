//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
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
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	compare "github.com/heirloom-go/heirloom/tools/compare"
	"github.com/heirloom-go/heirloom/tools/compare/figures"
)

// roleVariable makes the test binary the program itself.
const roleVariable = "HEIRLOOM_COMPARE_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		compare.Main()
		return
	}
	leakcheck.Main(m)
}

// A comparison is the program, running.
type comparison struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	pipe   *os.File
	temp   string
	stdout bytes.Buffer // what was read of it
	stderr bytes.Buffer
}

func start(t *testing.T, args ...string) *comparison {
	t.Helper()
	sdtest.Require(t, sdtest.V262)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	c := &comparison{t: t, lines: bufio.NewScanner(read), pipe: read, temp: t.TempDir()}
	c.cmd = exec.Command(os.Args[0], args...)
	c.cmd.Env = append(os.Environ(), roleVariable+"=true", "TMPDIR="+c.temp, "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = write, &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // of a test that gives up
		if c.cmd.ProcessState == nil {
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
			_ = c.cmd.Wait()
		}
	})
	_ = write.Close()
	return c
}

// waitFor reads lines until one matches.
func (c *comparison) waitFor(pattern string) {
	c.t.Helper()
	expression := regexp.MustCompile(pattern)
	for c.lines.Scan() {
		fmt.Fprintln(&c.stdout, c.lines.Text())
		if expression.MatchString(c.lines.Text()) {
			return
		}
	}
	err := c.cmd.Wait()
	c.t.Fatalf("it ended (%v) without a line like %s:\n%s%s", err, pattern, &c.stdout, &c.stderr)
}

// end reads the rest, and looks at the exit status and for what is left: of the
// machine with that control group too.
func (c *comparison) end(status int, machine string) {
	c.t.Helper()
	for c.lines.Scan() {
		fmt.Fprintln(&c.stdout, c.lines.Text())
	}
	_ = c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != status {
		c.t.Errorf("exit status is %d, want %d:\n%s%s", got, status, &c.stdout, &c.stderr)
	}
	if _, err := os.Stat(machine); err == nil {
		c.t.Errorf("the control group %s is left", machine)
	}
	if left, err := filepath.Glob(filepath.Join(c.temp, "heirloom-*")); err != nil || len(left) > 0 {
		c.t.Errorf("left in the folder for temporary files: %q, %v", left, err)
	}
}

// boots waits until the program boots its machine, and returns the control
// group of that. Later the machine may be gone already.
func (c *comparison) boots() (machine string) {
	c.t.Helper()
	c.waitFor("^booting ")
	if !patience.Until(time.Minute, func() bool { machine = c.machine(); return machine != "" }) {
		c.t.Fatalf("process %d has booted no machine", c.cmd.Process.Pid)
	}
	return machine
}

// machine is the control group of the machine that the program has booted, with
// all its processes, or "" if there is none.
func (c *comparison) machine() string {
	c.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range all {
		stat, err := os.ReadFile(path)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(c.cmd.Process.Pid) {
			continue
		}
		group, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
		if parts := regexp.MustCompile(`(?m)^0::(/heirloom-sdtest-[a-z0-9]+)`).FindSubmatch(group); err == nil && parts != nil {
			mounts, err := os.ReadFile("/proc/self/mounts")
			if err != nil {
				c.t.Fatal(err)
			}
			return regexp.MustCompile(`(?m)^\S+ (\S+) cgroup2 `).FindStringSubmatch(string(mounts))[1] + string(parts[1])
		}
	}
	return ""
}

func (c *comparison) check(where fmt.Stringer, want string) {
	c.t.Helper()
	if !strings.Contains(where.String(), want) {
		c.t.Errorf("output lacks %q:\n%s%s", want, &c.stdout, &c.stderr)
	}
}

// row returns the figures of a contender in the table of a verb.
func (c *comparison) row(verb, contender string) []int {
	c.t.Helper()
	_, table, _ := strings.Cut(c.stdout.String(), "\n"+verb+"\n")
	var row []int
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == contender {
			for _, word := range words[1:] {
				n, err := strconv.Atoi(word)
				if err != nil {
					c.t.Fatalf("%s: %v", line, err)
				}
				row = append(row, n)
			}
			return row
		}
	}
	c.t.Fatalf("there is no %s in the table of %s:\n%s", contender, verb, &c.stdout)
	return nil
}

// Columns of the tables.
const (
	requests = iota
	broken
	refused
	closed
	cut
	connections
)

// TestWhole compares heirloom with net/http alone: all verbs take long,
// packages above all.
func TestWhole(t *testing.T) {
	t.Parallel()
	args, verbs := []string{"-verbs", "reload,kill"}, []string{"systemctl reload", "kill -9"}
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		args, verbs = nil, []string{"systemctl reload", "systemctl restart", "kill -9", "package upgrade"}
	}
	dir := t.TempDir()
	c := start(t, append(args, "-contenders", "heirloom,net/http", "-rounds", "1", "-pause", "100ms",
		"-json", dir+"/json", "-markdown", dir+"/markdown", "-svg", dir+"/svg")...)
	machine := c.boots()
	c.waitFor("^heirloom +" + verbs[1] + " +1 times: ")
	c.end(0, machine)
	checkSheets(t, dir, func(row figures.Row, cell figures.Cell) {
		want := []int{cell.Requests, cell.Broken, cell.Refused, cell.Closed, cell.Cut, cell.Connections, int(cell.Slowest.Round(time.Millisecond).Milliseconds())}
		if got := c.row(row.Name, cell.Peer); !slices.Equal(got, want) || cell.Rounds != 1 {
			t.Errorf("%s, %s: the figures are %v, and in the file %+v", row.Name, cell.Peer, got, cell)
		}
	})
	for _, verb := range verbs {
		own, other := c.row(verb, "heirloom"), c.row(verb, "net/http")
		// A kill breaks the requests under way, of which there may be none.
		if own[broken] > 0 && verb != "kill -9" || own[broken] >= other[broken] || own[connections] > 50+own[broken] {
			t.Errorf("%s: heirloom's figures are %v, those of net/http %v", verb, own, other)
		}
		if other[broken] == 0 || other[connections] <= 50 {
			t.Errorf("%s: those of net/http are %v", verb, other)
		}
		for _, row := range [][]int{own, other} {
			if row[refused] > 0 || row[broken] != row[closed]+row[cut] || row[requests] < 100 {
				t.Errorf("%s: the figures are %v", verb, row)
			}
		}
	}
	c.check(&c.stdout, " 0 broken, besides ")
	if got := strings.Count(c.stdout.String(), "answers by generation"); got != len(verbs) {
		t.Errorf("there are %d pictures, want %d", got, len(verbs))
	}
}

// checkSheets reads the files with the table, and has each cell checked. The
// other files must have the same.
func checkSheets(t *testing.T, dir string, check func(figures.Row, figures.Cell)) {
	t.Helper()
	texts := map[string]string{}
	for _, name := range []string{"json", "markdown", "svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	var table figures.Table
	if err := json.Unmarshal([]byte(texts["json"]), &table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		if len(row.Cells) != 2 || row.Counts == "" || row.Systemd == "" {
			t.Errorf("the row %+v is not of both", row)
		}
		for _, cell := range row.Cells {
			check(row, cell)
		}
	}
	if texts["markdown"] != table.Markdown() || texts["svg"] != table.SVG() {
		t.Errorf("the files differ:\n%s\n%s\n%s", texts["json"], texts["markdown"], texts["svg"])
	}
}

// TestTLS has clients of TLS, whose connections move, and of HTTP/2, which are
// told to open others. With net/http alone the former break by a restart.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, "-rows", "tls,h2", "-contenders", "heirloom,net/http", "-rounds", "1", "-pause", "100ms",
		"-json", dir+"/json", "-markdown", dir+"/markdown", "-svg", dir+"/svg")
	machine := c.boots()
	c.waitFor("^net/http +HTTP/2 +1 times: ")
	c.end(0, machine)
	checkSheets(t, dir, func(row figures.Row, cell figures.Cell) {
		own, moves := cell.Peer == "heirloom", row.Name == "TLS keep-alive"
		if own && (cell.Broken > 0 || moves && cell.Connections != 50 || !moves && (cell.Connections <= 50 || cell.Connections > 100)) || !own && moves && cell.Broken == 0 ||
			cell.Requests < 100 || cell.Refused > 0 || cell.Broken != cell.Closed+cell.Cut {
			t.Errorf("%s, %s: the figures are %+v", row.Name, cell.Peer, cell)
		}
	})
	c.check(&c.stdout, "\n| TLS keep-alive | 0 | ")
	c.check(&c.stdout, "\n| HTTP/2 | 0 | ")
}

// TestCosts measures little of everything.
func TestCosts(t *testing.T) {
	t.Parallel()
	c := start(t, "costs", "-pairs", "1", "-reloads", "1")
	machine := c.boots()
	c.end(0, machine)
	for _, line := range []string{"CPU of a request on a kept connection, net/http", "CPU of a connection with one request, net/http",
		"CPU of a request over TLS, net/http", "CPU of a TLS connection with one request, net/http",
		"signal to first answer, tableflip", "p99.9 in a reload, without"} {
		row := regexp.MustCompile(regexp.QuoteMeta(line) + ` +([0-9.]+) +([0-9.]+) +([0-9.]+) `).FindStringSubmatch(c.stdout.String())
		if row == nil || slices.Contains(row[1:], "0.0") {
			t.Errorf("%s: %q", line, row)
		}
	}
}

// TestWrong has a program in heirloom's place that breaks a request in each
// generation but the first, before it is killed.
func TestWrong(t *testing.T) {
	t.Parallel()
	wrong := filepath.Join(t.TempDir(), "wrong")
	build := exec.Command("go", "build", "-o", wrong, "./contenders/wrong")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := start(t, "-program", wrong, "-contenders", "heirloom", "-verbs", "reload,kill", "-rounds", "1", "-pause", "100ms")
	machine := c.boots()
	c.waitFor("^heirloom +systemctl reload +1 times: .* 1 broken$")
	c.end(1, machine)
	for _, verb := range []string{"systemctl reload", "kill -9"} {
		c.check(&c.stderr, "heirloom, "+verb+": 1 of ")
	}
	c.check(&c.stderr, " requests are broken that should not be\n")
	c.check(&c.stdout, "heirloom: ")
	c.check(&c.stdout, " 2 broken, besides ")
}

// TestNothing has a program in heirloom's place that cannot be replaced: a verb
// that changed nothing is a failure, too.
func TestNothing(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, "-program", program, "-contenders", "heirloom", "-verbs", "reload")
	c.waitFor("^booting ")
	_ = c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != 1 {
		t.Errorf("exit status is %d, want 1", got)
	}
	c.check(&c.stderr, "compare: heirloom, systemctl reload: ")
}

// TestInterrupted ends it while clients ask, and by closing its standard
// output, as head does.
func TestInterrupted(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c *comparison) error
	}{
		{"SIGINT", func(c *comparison) error { return syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT) }}, // as a terminal does
		{"head", func(c *comparison) error { return c.pipe.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			verbs := strings.Repeat("reload,restart,", 20) // far more than are done meanwhile
			c := start(t, "-contenders", "net/http", "-verbs", verbs+"reload", "-rounds", "1", "-pause", "400ms")
			machine := c.boots()
			c.waitFor("^net/http +systemctl reload ")
			if err := test.do(c); err != nil {
				t.Fatal(err)
			}
			c.end(1, machine)
			c.check(&c.stderr, "interrupted")
		})
	}
}

// TestArguments has those that are wrong, and are told before anything is
// begun.
func TestArguments(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-verbs", "reload,stop"}, `there is no verb "stop", only reload, restart, kill, burst, upgrade`},
		{[]string{"-contenders", "apache"}, `there is no contender "apache", only heirloom, tableflip, grace, endless, overseer, nginx, haproxy, caddy, net/http`},
		{[]string{"-systemd", "300"}, `there is no systemd "300", only 252, 257, 262`},
		{[]string{"-rounds", "0"}, "-rounds 0: want 1 at least"},
		{[]string{"-program", "/missing/program"}, "/missing/program"},
		{[]string{"-load", "keep-alive=5,upload=2"}, `there is no class "upload", only `},
		{[]string{"-load", "slow"}, `"slow": want a number of clients`},
		{[]string{"-rows", "keep-alive,fast"}, `there is no row "fast", only keep-alive, `},
		{[]string{"-rows", "all", "-load", "slow=1"}, "-load: the rows of -rows have their own"},
		{[]string{"-rows", "keep-alive,tls", "-program", "hello"}, "-program hello: no row may be one of TLS"},
		{[]string{"-svg", "/missing/picture.svg"}, "/missing/picture.svg"},
		{[]string{"costs", "-pairs", "0"}, `costs ["-pairs" "0"]: want one systemd, a pair and a reload at least`},
		{[]string{"surplus"}, `unexpected argument "surplus"`},
	} {
		cmd := exec.Command(os.Args[0], test.args...)
		cmd.Env = append(os.Environ(), roleVariable+"=true")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err == nil || stdout.Len() > 0 || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: %v, %q, %q, want %q", test.args, err, &stdout, &stderr, test.want)
		}
	}
}
