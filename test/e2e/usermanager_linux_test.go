package e2e_test

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestKillUserManager kills a service of the manager of a user who has no
// privileges. Idle connections go on there as well, and after a reload.
func TestKillUserManager(t *testing.T) {
	t.Parallel()
	h := &managed{t: t, machine: sdtest.Boot(t, sdtest.V262), version: sdtest.V262}
	h.install(program("crasher"))
	h.machine.WriteFile("/usr/lib/sysusers.d/someone.conf", "u someone 990 - - -\n", 0o644)
	h.machine.MustRun("systemd-sysusers", "someone.conf")
	// pam_systemd.so would set it, where it is installed.
	h.machine.WriteFile("/etc/systemd/system/user@990.service.d/10.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/990\n", 0o644)
	h.machine.MustRun("systemctl", "daemon-reload")
	h.machine.WriteFile("/etc/systemd/user/hello.service", `[Service]
Type=notify
NotifyAccess=main
ExecStart=`+installed+`
ExecReload=`+installed+` reload
FileDescriptorStoreMax=16
Restart=always
RestartSec=100ms
RuntimeDirectory=hello
RuntimeDirectoryPreserve=yes
`, 0o644)
	h.machine.MustRun("mkdir", "-p", "/etc/systemd/user/default.target.wants")
	h.machine.MustRun("ln", "-s", "../hello.service", "/etc/systemd/user/default.target.wants/hello.service")
	h.machine.MustRun("systemctl", "start", "user@990.service")
	await := func(generation, kept, adopted int) (s lifecycle.Status) {
		t.Helper()
		h.wait("the generation and what it keeps", func() bool {
			var out bytes.Buffer
			options := lifecycle.Options{Name: "hello", ControlSocket: h.machine.Root() + "/run/user/990/hello/control"}
			if err := lifecycle.Command(t.Context(), options, []string{"status", "-json"}, &out); err != nil {
				return false
			}
			s = parseStatus(t, out.String())
			return s.State == lifecycle.Ready && s.Generation == generation && s.Ledger.Kept >= kept && s.Ledger.Adopted >= adopted
		})
		return s
	}
	await(1, 0, 0)
	const clients = 20
	idle := call(t, h.target(), clients)
	s := await(1, clients, 0)
	h.atRest(s.PID)
	h.kill(s.PID, syscall.SIGKILL)
	s = await(2, clients, clients) // it counts them when it has all
	if s.Ledger.Adopted != clients || s.Ledger.Cut+s.Ledger.Lost > 0 {
		t.Errorf("%+v", s.Ledger)
	}
	idle.expect(2)
	h.kill(s.PID, syscall.SIGHUP)
	h.kill(await(3, clients, 0).PID, syscall.SIGKILL)
	await(4, clients, clients)
	idle.expect(4)
}
