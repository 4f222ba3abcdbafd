package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A host runs hello: a terminal, a container, or a systemd.
type host interface {
	// install puts a program where the service is started from, as package
	// managers do: by rename.
	install(program string)
	// link makes the place the service is started from a symlink that leads to
	// a program.
	link(program string)
	// remove takes away the program.
	remove()
	// executable says whether the program may be executed.
	executable(bool)
	start()
	// signal asks for a reload without waiting for it.
	signal()
	// reload reloads and returns what went wrong, to the operator's eyes.
	reload() error
	// status is what `hello status -json` prints.
	status() lifecycle.Status
	// display is what an operator reads to know how the service is.
	display() string
	stop()
	processes() []process
	kill(pid int, sig syscall.Signal)
	proc(pid int) string // its folder
	descriptors(pid int) int
	threads(pid int) int
	target() loadtest.Target
	wait(what string, cond func() bool)
}

type process struct{ pid, ppid int }

// A place is a kind of host.
type place struct {
	name    string
	boot    func(t *testing.T) host
	program string         // prefixes the names of the good programs to run there
	manager bool           // a service manager: it knows the main process, and restarts it
	truth   bool           // whether reload fails when the reload failed
	inPlace bool           // a reload keeps the process id, and no two generations run at a time
	systemd sdtest.Version // where there is a manager
}

// rounds is how often to do what shows its faults seldom: n times on the newest
// systemd, less often elsewhere.
func (p place) rounds(n int) int { return sdtest.Rounds(p.systemd, n) }

func places() []place {
	all := []place{
		{name: "terminal", boot: newTerminal, truth: true, inPlace: true},
		{name: "beside", boot: newBeside, program: "daemon-", truth: true},
	}
	for _, v := range sdtest.Versions() {
		all = append(all, place{
			name: "systemd-" + v.String(), manager: true, truth: true, systemd: v,
			boot: func(t *testing.T) host { return newManaged(t, v) },
		})
	}
	for _, v := range []sdtest.Version{sdtest.V257, sdtest.V262} {
		if !sdtest.Thorough(v) {
			continue
		}
		all = append(all, place{
			name: "notify-reload-" + v.String(), manager: true, systemd: v,
			boot: func(t *testing.T) host { return newManaged(t, v, notifyReload) },
		})
	}
	return all
}

// version returns the path of a good program for this place.
func (p place) version(v string) string { return program(p.program + v) }

// run boots the place and starts the service in it.
func (p place) run(t *testing.T) host {
	h := p.boot(t)
	h.install(p.version("v1"))
	h.start()
	return h
}

// sideBySide are the places where generations run beside each other. Those in
// place have tests of their own: see everyPlace.
func sideBySide() []place {
	return slices.DeleteFunc(places(), func(p place) bool { return p.inPlace })
}

// at runs a test at places.
func at(t *testing.T, places []place, test func(t *testing.T, p place, h host)) {
	t.Parallel()
	turn := sdtest.Turn(t.Name())
	for _, p := range places {
		if p.manager && !slices.Contains(turn, p.systemd) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p, p.run(t))
		})
	}
}

// settled waits until one process is left of the service, and returns its
// status.
func settled(t *testing.T, h host) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	h.wait("one process to be left, ready", func() bool {
		if len(h.processes()) != 1 {
			return false
		}
		s = h.status()
		return s.State == lifecycle.Ready && len(s.Predecessors) == 0
	})
	if p := h.processes(); len(p) != 1 || p[0].pid != s.PID {
		t.Errorf("processes %v, but %d serves", p, s.PID)
	}
	return s
}

// checkThreads looks for threads that reloads or clients have left behind. Go's
// runtime starts one where a system call lasts, of which a busy machine has
// more, but not one a reload or a client.
func checkThreads(t *testing.T, h host, pid, before int) {
	t.Helper()
	if n := h.threads(pid); n > before+20 {
		t.Errorf("%d threads, after the first reload it were %d", n, before)
	}
}

// idleDescriptors counts the descriptors of a process that has nothing to do.
// Nobody tells when the connection of the status command is closed, so it is
// waited for until it is at rest, and then the fewest of a while count.
func idleDescriptors(t *testing.T, h host, pid int) int {
	t.Helper()
	atRest(t, h, pid)
	fewest := h.descriptors(pid)
	for range 20 {
		time.Sleep(patience.Of(5 * time.Millisecond))
		fewest = min(fewest, h.descriptors(pid))
	}
	return fewest
}

// brisk is a target whose drains are short: each waits for the slowest request.
func brisk(h host) loadtest.Target {
	target := h.target()
	target.SlowFor = 150 * time.Millisecond
	target.PauseFor = 10 * time.Millisecond
	target.IdleFor = time.Second
	return target
}

// crowd is every kind of client at once.
func crowd() map[loadtest.Class]int {
	clients := loadtest.OfEach(3)
	clients[loadtest.KeepAlive] = 20
	return clients
}

// verify stops the load and checks that nothing broke, and that clients that
// keep their connection kept it.
func verify(t *testing.T, run *loadtest.Run) loadtest.Report {
	t.Helper()
	report := run.Stop()
	loadtest.Verify(t, report)
	checkKept(t, report, loadtest.KeepAlive, loadtest.Idle, loadtest.Slow, loadtest.ByteByByte, loadtest.Pipelined, loadtest.Upload)
	return report
}

// checkKept checks that clients of these classes kept their connection.
func checkKept(t *testing.T, report loadtest.Report, classes ...loadtest.Class) {
	t.Helper()
	for _, c := range report.ByClass {
		if slices.Contains(classes, c.Class) && c.Connections != c.Clients {
			t.Errorf("%d %s clients used %d connections, want one each", c.Clients, c.Class, c.Connections)
		}
	}
}

// askStatus does what `hello status -json` does, in this process: tests ask all
// the time, and to start a process each time takes longer than all else.
func askStatus(t *testing.T, socket string) lifecycle.Status {
	t.Helper()
	var out bytes.Buffer
	options := lifecycle.Options{Name: "hello", ControlSocket: socket}
	if err := lifecycle.Command(context.Background(), options, []string{"status", "-json"}, &out); err != nil {
		t.Fatalf("status: %v", err)
	}
	return parseStatus(t, out.String())
}

func parseStatus(t *testing.T, out string) lifecycle.Status {
	t.Helper()
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("status: %v in %q", err, out)
	}
	return s
}

// poll waits for what tells nobody of its changes.
func poll(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !patience.Until(30*time.Second, cond) {
		t.Fatalf("waited in vain for %s", what)
	}
}

func reloadError(s lifecycle.Status) error {
	if s.LastReload != nil && s.LastReload.Result == "done" {
		return nil
	}
	return fmt.Errorf("reload: %+v", s.LastReload)
}

func itoa(n int) string { return strconv.Itoa(n) }
