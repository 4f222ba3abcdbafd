package notify_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// limit is how long a test waits for a process of its unit, as package patience
// stretches it.
const limit = 30 * time.Second

// unit is a service of a machine, whose processes do what the test orders.
type unit struct {
	t       *testing.T
	machine *sdtest.Machine
	version sdtest.Version
	name    string
	home    *net.UnixListener // each process of the unit connects to it
}

// process is one process of a unit, at the other end of a connection.
type process struct {
	hello
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func unitFile(settings string) string {
	return "[Service]\nType=notify\nExecStart=/usr/bin/daemon\nTimeoutStartSec=5min\n" +
		"Environment=" + roleVariable + "=managed " + homeVariable + "=@%n GORACE=atexit_sleep_ms=0\n" + settings + "\n"
}

// newUnit is ready for a unit's processes, which must end with the test.
func newUnit(t *testing.T, machine *sdtest.Machine, v sdtest.Version, name string) *unit {
	t.Helper()
	u := &unit{t: t, machine: machine, version: v, name: name + ".service"}
	err := machine.Inside(func() (err error) {
		u.home, err = net.ListenUnix("unix", &net.UnixAddr{Name: "@" + u.name, Net: "unix"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = u.home.Close()
		machine.MustRun("systemctl", "stop", u.name)
	})
	return u
}

// start returns the main process of the started unit.
func (u *unit) start() *process { return u.up("start") }

func (u *unit) restart() *process { return u.up("restart") }

func (u *unit) up(verb string) *process {
	u.t.Helper()
	main, done := u.launch(verb)
	main.say("READY=1")
	u.succeeds(done)
	return main
}

// launch returns the main process of the unit, which systemctl is still
// starting.
func (u *unit) launch(verb string) (*process, *sdtest.Command) {
	u.t.Helper()
	command := u.machine.Start("systemctl", verb, u.name)
	return u.accept(), command
}

// fork returns another process of the unit, a child of parent.
func (u *unit) fork(parent *process) *process {
	u.t.Helper()
	parent.order("fork")
	return u.accept()
}

// accept waits for the next process of the unit.
func (u *unit) accept() *process {
	u.t.Helper()
	if err := u.home.SetDeadline(patience.Deadline(limit)); err != nil {
		u.t.Fatal(err)
	}
	conn, err := u.home.Accept()
	if err != nil {
		u.t.Fatal(err)
	}
	p := &process{t: u.t, conn: conn, lines: bufio.NewReader(conn)}
	u.t.Cleanup(func() { _ = conn.Close() })
	if err := json.Unmarshal([]byte(p.read()), &p.hello); err != nil {
		u.t.Fatal(err)
	}
	return p
}

func (u *unit) succeeds(c *sdtest.Command) {
	u.t.Helper()
	if out, err := c.Wait(); err != nil {
		u.t.Fatalf("systemctl: %v\n%s", err, out)
	}
}

// want checks a property of the unit as it is now.
func (u *unit) want(property, value string) {
	u.t.Helper()
	if got := u.machine.Property(u.name, property); got != value {
		u.t.Errorf("%s is %q, want %q", property, got, value)
	}
}

// since chooses what to want by the version of systemd.
func (u *unit) since(v sdtest.Version, now, before string) string {
	if u.version >= v {
		return now
	}
	return before
}

// say has p send one message, and returns when the manager has read it.
func (p *process) say(assignments ...string) {
	p.t.Helper()
	p.order(strings.Join(assignments, "\t"))
	p.order("barrier " + patience.Of(limit).String())
}

// order returns when p has obeyed.
func (p *process) order(order string) {
	p.t.Helper()
	if answer := p.ask(order); answer != "" {
		p.t.Fatalf("%q: %s", order, answer)
	}
}

func (p *process) ask(order string) string {
	p.t.Helper()
	p.write(order)
	return p.read()
}

func (p *process) write(order string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, order+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) read() string {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(patience.Deadline(limit)); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.lines.ReadString('\n')
	if err != nil {
		p.t.Fatalf("process %d: %v", p.PID, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// exit makes p end by itself.
func (p *process) exit() {
	p.t.Helper()
	if err := p.conn.(*net.UnixConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
	p.awaitEnd()
}

// awaitEnd waits until p is no more, which closes its end of the connection.
func (p *process) awaitEnd() {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(patience.Deadline(limit)); err != nil {
		p.t.Fatal(err)
	}
	if line, err := p.lines.ReadString('\n'); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatalf("process %d still there: %q, %v", p.PID, line, err)
	}
}
