package docs_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

const (
	operators = "operators.md"
	address   = "127.0.0.1:8080"
	unit      = "hello.service"
)

// TestOperators does on a real systemd what the table of operators.md says, row
// by row, and compares each cell with what a client sees; and it sees that what
// the page shows is what systemd and hello print.
func TestOperators(t *testing.T) {
	t.Parallel()
	m := bootHello(t)
	checkCommands(t, m)
	checkSystemd(t, m)
	load := loadtest.Start(loadtest.Target{Address: address, Dial: m.Dial, SlowFor: 50 * time.Millisecond}, map[loadtest.Class]int{
		loadtest.KeepAlive: 4, loadtest.PerRequest: 1, loadtest.Slow: 1, loadtest.Pipelined: 1, loadtest.UploadExpect: 1,
	})
	for _, r := range tables(t, operators, "command") {
		if load != nil && (r["request under way"] != "is answered" || r["idle connection"] == "is closed") {
			verify(t, load.Stop())
			load = nil
		}
		walk(t, m, r, load != nil)
	}
	moveSocket(t, m)
	stopTwice(t, m)
	failReload(t, m)
}

// verify expects the keep-alive clients, too, to have noticed nothing.
func verify(t *testing.T, report loadtest.Report) {
	t.Helper()
	loadtest.Verify(t, report)
	for _, class := range report.ByClass {
		if class.Class == loadtest.KeepAlive && class.Connections != class.Clients {
			t.Errorf("%d keep-alive clients needed %d connections", class.Clients, class.Connections)
		}
	}
}

// bootHello starts hello in the units that its description is rendered to.
func bootHello(t *testing.T) *sdtest.Machine {
	t.Helper()
	m := sdtest.Boot(t, sdtest.V262)
	program := filepath.Join(t.TempDir(), "hello")
	cmd := exec.Command("go", "build", "-o", program, "../examples/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // for a system with another libc
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.Install(program, "/usr/bin/hello")
	m.Install(program, "/usr/local/bin/good")
	for _, file := range render(t) {
		m.WriteFile(file.Path, file.Text, file.Mode)
	}
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "enable", "--now", "hello.socket", unit)
	return m
}

func render(t *testing.T) []units.File {
	t.Helper()
	const path = "../examples/hello/hello.heirloom"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	service, err := units.ParseSpec(path, string(text))
	if err != nil {
		t.Fatal(err)
	}
	files, err := service.Render(units.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A client is one connection to hello.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, m *sdtest.Machine) (*client, error) {
	t.Helper()
	conn, err := m.Dial(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}, conn.SetDeadline(patience.Deadline(2 * time.Minute))
}

// A server is who answered.
type server struct {
	generation, pid int
}

// ask sends what is left of a request, and returns who answered it.
func (c *client) ask(text string) (server, error) {
	var s server
	if _, err := io.WriteString(c, text); err != nil {
		return s, err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return s, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return s, err
	}
	_, err = fmt.Sscanf(string(body), "hello from generation %d (pid %d", &s.generation, &s.pid)
	return s, err
}

const get = "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"

// walk does what a row says with three clients: one whose request is under way,
// one whose connection is idle, and one that comes after. The service may be
// loaded with others.
func walk(t *testing.T, m *sdtest.Machine, r row, loaded bool) {
	t.Helper()
	command := strings.Trim(r["command"], "`")
	busy, idle, before := clients(t, m, loaded)
	cmd := m.Start("sh", "-c", strings.Replace(command, "systemctl edit hello", "echo '[Service]\nTimeoutStopSec=30s' | systemctl edit --stdin hello", 1))
	m.Wait(command, func() bool { return isDone(cmd) || m.Property(unit, "SubState") == "stop-sigterm" })
	got := row{"command": r["command"], "request under way": "", "idle connection": "", "new connection": "", "who serves then": ""}
	if busy != nil {
		got["request under way"] = "is answered"
		if _, err := busy.ask("b"); err != nil {
			got["request under way"] = "breaks"
		}
	}
	if out, err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	if r["who serves then"] != "the same process" {
		m.Wait("another process", func() bool { return m.Property(unit, "MainPID") != fmt.Sprint(before.pid) && settled(m) })
	}
	if idle != nil {
		switch s, err := idle.ask(get); {
		case err != nil:
			got["idle connection"] = "is closed"
		case s == before:
			got["idle connection"] = "stays"
		default:
			got["idle connection"] = "moves"
		}
	}
	got["new connection"], got["who serves then"] = arrive(t, m, before)
	for column, cell := range got {
		if r[column] != cell {
			t.Errorf("%s: the page says of the %s %q, and it is %q", command, column, r[column], cell)
		}
	}
}

// clients returns one whose request is under way, its answer one byte away, and
// one that is idle; both nil if nobody serves. Unless the service is loaded with
// others, which no row is that kills it, the idle one outlives a crash.
func clients(t *testing.T, m *sdtest.Machine, loaded bool) (busy, idle *client, s server) {
	t.Helper()
	if state := m.Property(unit, "ActiveState") + m.Property("hello.socket", "ActiveState"); state == "inactiveinactive" {
		return nil, nil, s
	}
	busy, err := dial(t, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(busy, "POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := busy.r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := busy.r.Discard(len("\r\n")); err != nil {
		t.Fatal(err)
	}
	if idle, err = dial(t, m); err != nil {
		t.Fatal(err)
	}
	if s, err = idle.ask(get); err != nil {
		t.Fatal(err)
	}
	m.Wait("the idle connection to be kept", func() bool {
		status, err := status(m)
		// A response may be read before its connection counts as idle.
		atRest := loaded || status.Connections.Active == 1
		return err == nil && atRest && status.Ledger.Kept >= status.Connections.Idle
	})
	return busy, idle, s
}

func status(m *sdtest.Machine) (status lifecycle.Status, err error) {
	out, err := m.Run("hello", "status", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &status)
	}
	return status, err
}

// arrive connects after a command, and says in the words of the page what comes
// of it.
func arrive(t *testing.T, m *sdtest.Machine, before server) (connection, serves string) {
	t.Helper()
	c, err := dial(t, m)
	if err != nil {
		return "is refused", "nobody"
	}
	s, err := c.ask(get)
	switch {
	case err != nil:
		return err.Error(), ""
	case s == before:
		return "is answered", "the same process"
	case s.generation == before.generation+1 && before.generation > 0:
		return "is answered", "the next generation"
	default:
		return "is answered", fmt.Sprintf("generation %d", s.generation)
	}
}

func isDone(cmd *sdtest.Command) bool {
	select {
	case <-cmd.Done():
		return true
	default:
		return false
	}
}

// settled reports whether the unit is active, with one process, or inactive. An
// older generation may still answer on a connection that it has not handed over.
func settled(m *sdtest.Machine) bool {
	switch m.Property(unit, "ActiveState") {
	case "active":
		status, err := status(m)
		return err == nil && len(status.Predecessors) == 0
	case "inactive":
		return true
	}
	return false
}

// failReload installs a program of which only the commands work, and compares
// what is to be seen then with what the page shows.
func failReload(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	m.WriteFile("/usr/bin/hello", "#!/bin/sh\n[ $# -gt 0 ] && exec /usr/local/bin/good \"$@\"\nexit 3\n", 0o755)
	out, err := m.Run("systemctl", "reload", "hello")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the reload: %v, %s", err, out)
	}
	display, _ := m.Run("systemctl", "status", "--no-pager", "--full", "hello") // its exit status tells of the unit
	shown := map[string]string{
		"systemctl reload hello":     out,
		"systemctl status hello":     display,
		"hello status":               m.MustRun("hello", "status"),
		"journalctl -u hello -o cat": m.Journal("-u", "hello", "-o", "cat"),
	}
	for command, screen := range screens(t, operators) {
		text, ok := shown[command]
		if !ok {
			t.Errorf("$ %s is not tried", command)
		}
		for line := range strings.Lines(screen) {
			if !resembles(line).MatchString(text) {
				t.Errorf("$ %s does not show %q:\n%s", command, line, text)
			}
		}
	}
}

// resembles matches a line whatever the numbers, the width of columns and what
// three dots stand for.
func resembles(line string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(strings.TrimSpace(line))
	pattern = regexp.MustCompile(` +`).ReplaceAllString(pattern, ` +`)
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, ".*")
	pattern = regexp.MustCompile(`\d+(\\\.\d+)?(m?s)?`).ReplaceAllString(pattern, `[0-9.msµ]+`)
	return regexp.MustCompile(pattern)
}

// screen is a block that shows a command, after "$ ", and what it prints.
var screen = regexp.MustCompile(`(?m)^    \$ (.*)\n((?:^    [^$\n].*\n)+)`)

// screens returns what a page shows commands to print.
func screens(t *testing.T, page string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, parts := range screen.FindAllStringSubmatch(read(t, page), -1) {
		all[parts[1]] = parts[2]
	}
	return all
}

// moveSocket is what the page says of a socket whose addresses have changed.
func moveSocket(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	const change = "/etc/systemd/system/hello.socket.d/address.conf"
	m.WriteFile(change, "[Socket]\nListenStream=\nListenStream=127.0.0.1:8081\n", 0o644)
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("systemctl", "reload", "hello")
	if connection, _ := arrive(t, m, server{}); connection != "is answered" {
		t.Errorf("after a reload a connection to the old address %s", connection)
	}
	if out, err := m.Run("systemctl", "restart", "hello"); err == nil {
		t.Errorf("a new start found its socket: %s", out)
	}
	if journal := m.Journal("-u", "hello", "-o", "cat"); !strings.Contains(journal, syscall.EAFNOSUPPORT.Error()) {
		t.Errorf("the journal does not say why:\n%s", journal)
	}
	const advice = "systemctl stop hello.socket hello && systemctl start hello"
	if !strings.Contains(read(t, operators), "`"+advice+"`") || !strings.Contains(read(t, "troubleshooting.md"), "`"+advice+"`") {
		t.Errorf("the pages do not say: %s", advice)
	}
	m.MustRun("sh", "-c", advice)
	if conn, err := m.Dial(t.Context(), "tcp", "127.0.0.1:8081"); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	m.MustRun("rm", change)
	m.MustRun("systemctl", "daemon-reload")
	m.MustRun("sh", "-c", advice)
}

// stopTwice sends the second SIGTERM, with which a stop does not wait any longer.
func stopTwice(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	busy, _, _ := clients(t, m, false)
	stop := m.Start("systemctl", "stop", "hello")
	m.Wait("the stop", func() bool { return m.Property(unit, "SubState") == "stop-sigterm" })
	if out, err := m.Run("hello", "reload"); err == nil || !strings.Contains(out, "the service is stopping") {
		t.Errorf("a reload during the stop: %v, %s", err, out)
	}
	m.MustRun("systemctl", "kill", "hello")
	if out, err := stop.Wait(); err != nil || !strings.Contains(out, "hello.socket") {
		t.Errorf("the stop: %v, and nothing of the socket: %s", err, out)
	}
	if s, err := busy.ask("b"); err == nil {
		t.Errorf("%v has answered what was to be closed", s)
	}
	if out, err := m.Run("systemctl", "set-property", "hello", "TimeoutStopSec=20s"); err == nil {
		t.Errorf("set-property took it: %s", out)
	}
	if result := m.Property(unit, "Result"); result != "exit-code" {
		t.Errorf("the stop ended with %s", result)
	}
	m.MustRun("systemctl", "start", "hello")
	m.MustRun("systemctl", "reload", "hello")
}
