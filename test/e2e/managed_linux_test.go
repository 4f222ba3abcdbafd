package e2e_test

import (
	"fmt"
	"net"
	"path"
	"strconv"
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
	installed = "/usr/bin/hello"
	// control is a good copy of hello for ExecReload=, so that a bad program at
	// its place fails as a successor, rather than as the reload command.
	control = "/usr/local/bin/hello-control"
)

// A managed host runs hello under systemd, in a sandbox, with its socket from a
// socket unit unless the unit is alone.
type managed struct {
	t       *testing.T
	machine *sdtest.Machine
	version sdtest.Version
	units   []string
}

// A change is one of the description of hello.
type change func(*units.Service)

// newManaged boots a systemd with the units that package units makes of hello,
// after the changes.
func newManaged(t *testing.T, v sdtest.Version, changes ...change) *managed {
	t.Helper()
	h := &managed{t: t, machine: sdtest.Boot(t, v), version: v}
	h.machine.Install(program("hello"), control)
	hello := units.Service{
		Name:        "hello",
		Program:     installed,
		Sockets:     []units.Socket{{Name: "http", Addresses: []string{"127.0.0.1:8080"}}},
		StopTimeout: 10 * time.Minute, // what may hang is only ended by it
	}
	for _, change := range changes {
		change(&hello)
	}
	if !hello.NotifyReload {
		setting("Service", "ExecReload", "")(&hello)
		setting("Service", "ExecReload", control+" reload")(&hello)
	}
	h.units = append(hello.SocketUnits(), "hello.service")
	installUnits(t, h.machine, v, hello)
	return h
}

// installUnits installs all that the description leads to, as packages do.
func installUnits(t testing.TB, m *sdtest.Machine, v sdtest.Version, s units.Service) {
	t.Helper()
	files, err := s.Render(int(v))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		m.WriteFile(file.Path, file.Text, file.Mode)
		if path.Dir(file.Path) == "/usr/lib/sysusers.d" {
			m.MustRun("systemd-sysusers", path.Base(file.Path))
		}
	}
	m.MustRun("systemctl", "daemon-reload")
}

// span is a limit in time for this machine, as systemd writes it.
func span(d time.Duration) string { return fmt.Sprintf("%dms", patience.Of(d).Milliseconds()) }

// setting adds a line to the service.
func setting(section, name, value string) change {
	return func(s *units.Service) {
		s.Settings = append(s.Settings, units.Setting{Section: section, Name: name, Value: value})
	}
}

func notifyReload(s *units.Service) { s.NotifyReload = true }

// withoutSocket takes the socket unit away: hello binds its address itself.
// That service has a user of its own.
func withoutSocket(s *units.Service) {
	s.Sockets, s.Args = nil, []string{"-listen", "127.0.0.1:8080"}
	s.Network, s.User = units.LocalNetwork, "hello"
}

// privatePIDs makes the process the first of a process namespace.
var privatePIDs = setting("Service", "PrivatePIDs", "yes")

// often lets the service be started as often as a test likes.
func often(s *units.Service) {
	setting("Unit", "StartLimitIntervalSec", "0")(s)
	setting("Service", "RestartSec", "100ms")(s)
}

func (h *managed) install(program string) { h.machine.Install(program, installed) }

func (h *managed) link(program string) {
	release := "/opt/hello-" + fmt.Sprint(len(program)) + strings.ReplaceAll(program, "/", "-")
	h.machine.Install(program, release)
	h.machine.MustRun("ln", "-sfn", release, installed+".new")
	h.machine.MustRun("mv", "-T", installed+".new", installed)
}

func (h *managed) remove() { h.machine.MustRun("rm", installed) }

func (h *managed) executable(yes bool) {
	mode := "a-x"
	if yes {
		mode = "a+x"
	}
	h.machine.MustRun("chmod", mode, installed)
}

func (h *managed) start() {
	h.t.Helper()
	h.machine.MustRun("systemctl", append([]string{"start"}, h.units...)...)
}

func (h *managed) signal() {
	h.t.Helper()
	h.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "HUP", "hello.service")
}

func (h *managed) reload() error {
	out, err := h.machine.Run("systemctl", "reload", "hello.service")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (h *managed) status() lifecycle.Status {
	h.t.Helper()
	return askStatus(h.t, h.machine.Root()+"/run/hello/control")
}

func (h *managed) display() string {
	out, _ := h.machine.Run("systemctl", "status", "--no-pager", "hello.service")
	return out
}

func (h *managed) restart() error {
	out, err := h.machine.Run("systemctl", "restart", "hello.service")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// alone reports whether hello binds its address itself.
func (h *managed) alone() bool { return len(h.units) == 1 }

// stored is how many descriptors systemd's store holds.
func (h *managed) stored() int {
	h.t.Helper()
	text := h.machine.Property("hello.service", "NFileDescriptorStore")
	n, err := strconv.Atoi(text)
	if err != nil {
		h.t.Fatalf("NFileDescriptorStore=%s", text)
	}
	return n
}

func (h *managed) stop() {
	h.t.Helper()
	h.machine.MustRun("systemctl", append([]string{"stop"}, h.units...)...)
}

func (h *managed) processes() []process {
	var list []process
	for _, p := range h.machine.Processes("hello.service") {
		if p.State != 'Z' {
			list = append(list, process{p.PID, p.PPID})
		}
	}
	return list
}

func (h *managed) kill(pid int, sig syscall.Signal) { h.machine.Kill(pid, sig) }
func (h *managed) proc(pid int) string              { return fmt.Sprintf("%s/proc/%d", h.machine.Root(), pid) }
func (h *managed) descriptors(pid int) int          { return h.machine.Descriptors(pid) }
func (h *managed) threads(pid int) int              { return h.machine.Threads(pid) }

func (h *managed) target() loadtest.Target {
	return loadtest.Target{Address: "127.0.0.1:8080", Dial: h.machine.Dial}
}

// connect opens n connections much faster than by n calls of Dial, each of
// which goes in and out of the machine.
func (h *managed) connect(n int) *callers {
	h.t.Helper()
	c := &callers{t: h.t, conns: make([]net.Conn, n)}
	h.t.Cleanup(c.hangUp)
	err := h.machine.Inside(func() (err error) {
		for i := range c.conns {
			if c.conns[i], err = net.Dial("tcp", h.target().Address); err != nil {
				return fmt.Errorf("connection %d: %w", i+1, err)
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *managed) wait(what string, cond func() bool) {
	h.t.Helper()
	h.machine.Wait(what, cond)
}
