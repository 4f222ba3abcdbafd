package e2e_test

import (
	_ "embed"
	"fmt"
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

// A managed host runs hello under systemd, in a sandbox, with its socket from a socket unit.
type managed struct {
	t       *testing.T
	machine *sdtest.Machine
}

func newManaged(t *testing.T, v sdtest.Version, notifyReload bool) host {
	h := &managed{t, sdtest.Boot(t, v)}
	unit := strings.ReplaceAll(helloService, "ExecReload="+installed, "ExecReload="+control)
	if notifyReload {
		unit = strings.ReplaceAll(unit, "Type=notify\n", "Type=notify-reload\n")
		unit = strings.ReplaceAll(unit, "ExecReload="+control+" reload\n", "")
	}
	h.machine.Install(program("v1"), control)
	h.machine.WriteFile("/etc/systemd/system/hello.service", unit, 0o644)
	h.machine.WriteFile("/etc/systemd/system/hello.socket", helloSocket, 0o644)
	h.machine.MustRun("systemctl", "daemon-reload")
	return h
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
	h.machine.MustRun("systemctl", "start", "hello.socket", "hello.service")
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

func (h *managed) stop() { h.machine.MustRun("systemctl", "stop", "hello.socket", "hello.service") }

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

func (h *managed) wait(what string, cond func() bool) {
	h.t.Helper()
	h.machine.Wait(what, cond)
}
