package lifecycle_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// drops is started as root and goes on as nobody, as daemons do that know no
// User=.
func drops(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	if err := syscall.Setuid(65534); err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: handler(service.Generation())}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// TestDropsRoot shows what a daemon loses that drops root itself, and that it
// is told: a successor is not root when it starts, and reloads only by a
// signal.
func TestDropsRoot(t *testing.T) {
	const warning = "the process changed its user before Run"
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d := &managedDaemon{t, sdtest.Boot(t, v)}
			d.machine.Install(os.Args[0], "/usr/bin/daemon")
			d.machine.WriteFile("/etc/systemd/system/daemon.socket", daemonSocket, 0o644)
			d.machine.WriteFile("/etc/systemd/system/daemon.service", strings.NewReplacer("ROLE=daemon", "ROLE=drops",
				"HEIRLOOM_TEST_RELOAD=3s", "HEIRLOOM_TEST_RELOAD=1m", "TimeoutStartSec=5s", "TimeoutStartSec=1min").Replace(daemonService), 0o644)
			d.machine.MustRun("systemctl", "daemon-reload")
			d.machine.MustRun("systemctl", "start", "daemon.service")
			clients := d.connect(1)
			d.awaitJournal(warning)
			d.awaitJournal("no control socket")
			if out, err := d.machine.Run("systemctl", "reload", "daemon.service"); err == nil {
				t.Errorf("a reload over the control socket succeeded: %s", out)
			}
			d.machine.MustRun("systemctl", "kill", "-s", "HUP", "--kill-whom=main", "daemon.service")
			journal := d.awaitJournal("ready: generation=2")
			// It says so before the predecessor lets go of connections.
			d.machine.Wait("the predecessor to end", func() bool { return len(d.machine.Processes("daemon.service")) == 1 })
			d.mustExchange(clients, 2)
			if n := strings.Count(journal, warning); n != 1 {
				t.Errorf("%d warnings, want one: the successor was nobody from the start", n)
			}
			d.machine.MustRun("systemctl", "stop", "daemon.socket", "daemon.service")
		})
	}
}
