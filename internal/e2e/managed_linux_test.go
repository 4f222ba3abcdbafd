package e2e_test

import (
	_ "embed"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/loadtest"
	"github.com/heirloom-go/heirloom/internal/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var (
	//go:embed testdata/hello.service
	helloService string
	//go:embed testdata/hello.socket
	helloSocket string
)

const (
	installed = "/usr/bin/hello"
	// control is a good copy of hello for ExecReload=, so that a bad program at its place fails as a successor, rather
	// than as the reload command.
	control = "/usr/local/bin/hello-control"
)

// A managed host runs hello under systemd, in a sandbox, with its socket from a socket unit unless the unit is alone.
type managed struct {
	t       *testing.T
	machine *sdtest.Machine
	version sdtest.Version
	units   []string
}

// An edit changes a unit.
type edit struct{ old, new string }

// newManaged boots a systemd with hello.service, changed by edits.
func newManaged(t *testing.T, v sdtest.Version, edits ...edit) *managed {
	t.Helper()
	h := &managed{t: t, machine: sdtest.Boot(t, v), version: v, units: []string{"hello.socket", "hello.service"}}
	unit := helloService
	for _, e := range append(edits, edit{"ExecReload=" + installed, "ExecReload=" + control}) {
		if !strings.Contains(unit, e.old) {
			t.Fatalf("hello.service has no %q", e.old)
		}
		unit = strings.ReplaceAll(unit, e.old, e.new)
	}
	h.machine.Install(program("hello"), control)
	h.machine.WriteFile("/etc/systemd/system/hello.service", unit, 0o644)
	if strings.Contains(unit, "Sockets=") {
		h.machine.WriteFile("/etc/systemd/system/hello.socket", helloSocket, 0o644)
	} else {
		h.units = h.units[1:]
	}
	h.machine.MustRun("systemctl", "daemon-reload")
	return h
}

func notifyReload() []edit {
	return []edit{
		{"Type=notify\n", "Type=notify-reload\n"},
		{"ExecReload=" + installed + " reload\n", "# ExecReload=" + installed + "\n"},
	}
}

// withoutSocket takes the socket unit away: hello binds its address itself.
func withoutSocket() []edit {
	return []edit{
		{"Sockets=hello.socket\n", ""},
		{"Also=hello.socket\n", ""},
		{"ExecStart=" + installed + "\n", "ExecStart=" + installed + " -listen 127.0.0.1:8080\n"},
		{"PrivateNetwork=yes\n", ""},
		{"IPAddressDeny=any\n", ""},
		{"RestrictAddressFamilies=AF_UNIX\n", "RestrictAddressFamilies=AF_UNIX AF_INET\n"},
		{"FileDescriptorStoreMax=4096\n", "FileDescriptorStoreMax=64\n"},
	}
}

// often lets the service be started as often as a test likes.
func often() []edit {
	return []edit{
		{"StartLimitIntervalSec=30s\n", "StartLimitIntervalSec=0\n"},
		{"RestartSec=200ms\n", "RestartSec=100ms\n"},
	}
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
	return parseStatus(h.t, h.machine.MustRun(control, "status", "-json"))
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
func (h *managed) descriptors(pid int) int          { return h.machine.Descriptors(pid) }
func (h *managed) threads(pid int) int              { return h.machine.Threads(pid) }

func (h *managed) target() loadtest.Target {
	return loadtest.Target{Address: "127.0.0.1:8080", Dial: h.machine.Dial}
}

// connect opens n connections much faster than by n calls of Dial, each of which goes in and out of the machine.
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
