package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

const daemonService = `[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/daemon
ExecReload=/usr/bin/daemon reload
Environment=HEIRLOOM_TEST_ROLE=daemon HEIRLOOM_TEST_LISTEN=tcp!127.0.0.1:8080 HEIRLOOM_TEST_RELOAD=2m GORACE=atexit_sleep_ms=0
Sockets=daemon.socket
Restart=on-failure
RestartSec=100ms
TimeoutStartSec=5m
TimeoutStopSec=5m
RuntimeDirectory=daemon
`

const daemonSocket = `[Socket]
ListenStream=127.0.0.1:8080
FileDescriptorName=http
`

// TestKill kills predecessor or successor at each step of a handover, on each
// systemd. What the killed process had accepted is lost; nothing else may be.
// Where the main process is killed in the middle of a reload, systemd 257 goes
// on to wait for the end of that reload, with the successor serving meanwhile,
// and restarts the service after TimeoutStartSec.
func TestKill(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kill     string
		restarts string // by systemd, where the main process was killed
		serves   int    // the generation that serves afterwards
		unharmed bool   // the clients of the predecessor notice nothing
	}{
		{"1 started", "1", 1, false},
		{"1 ready", "1", 1, false},
		{"1 go", "1", 1, false},
		{"1 hand over", "1", 1, false},
		{"1 handed over", "0", 2, false},
		{"2 take over", "0", 1, true},
		{"2 serving", "01", 1, false}, // perhaps it was made the main process before its death was noticed
		{"2 main", "1", 1, false},
	}
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			unit := strings.Replace(daemonService, "TimeoutStartSec=5m", "TimeoutStartSec="+span(5*time.Second), 1)
			machine.WriteFile("/etc/systemd/system/daemon.service", strings.Replace(unit, "RELOAD=2m", "RELOAD="+span(4*time.Second), 1), 0o644)
			machine.WriteFile("/etc/systemd/system/daemon.socket", daemonSocket, 0o644)
			machine.MustRun("systemctl", "daemon-reload")
			for _, test := range tests {
				t.Run(strings.ReplaceAll(test.kill, " ", "-"), func(t *testing.T) {
					d := &managedDaemon{t, machine.For(t)}
					d.machine.MustRun("systemctl", "start", "daemon.socket", "daemon.service")
					defer d.stop()
					clients := map[loadtest.Class]int{loadtest.KeepAlive: 5, loadtest.Slow: 2, loadtest.OneAndAHalf: 2}
					target := loadtest.Target{Address: "127.0.0.1:8080", Dial: machine.Dial}
					run := loadtest.Start(target, clients)
					if err := eventually(func() bool { return run.Snapshot().Requests > 20 }); err != nil {
						t.Fatal(err)
					}
					d.machine.WriteFile("/run/daemon/kill", test.kill, 0o644)
					_, err := d.machine.Run("systemctl", "reload", "daemon.service")
					if err == nil && test.unharmed {
						t.Error("systemctl reload succeeded, though the successor was killed")
					}
					d.awaitService(test.restarts, test.serves)
					report := run.Stop()
					if test.unharmed {
						loadtest.Verify(t, report)
					}
					_, _ = d.machine.Run("rm", "-f", "/run/daemon/kill")
					after := loadtest.Start(target, loadtest.OfEach(1))
					d.machine.MustRun("systemctl", "reload", "daemon.service")
					loadtest.Verify(t, after.Stop())
				})
			}
		})
	}
}

// A managedDaemon is the daemon under a systemd.
type managedDaemon struct {
	t       *testing.T
	machine *sdtest.Machine
}

// awaitService waits until the service is as it should be: one process, of that
// generation.
func (d *managedDaemon) awaitService(restarts string, generation int) {
	d.t.Helper()
	err := eventually(func() bool {
		if !strings.Contains(restarts, d.machine.Property("daemon.service", "NRestarts")) {
			return false
		}
		if d.machine.Property("daemon.service", "ActiveState") != "active" || len(d.machine.Processes("daemon.service")) != 1 {
			return false
		}
		s, err := d.status()
		return err == nil && s.Generation == generation
	})
	if err != nil {
		d.t.Errorf("waited for generation %d (restarts: %s): %v; processes %+v, NRestarts=%s", generation, restarts, err,
			d.machine.Processes("daemon.service"), d.machine.Property("daemon.service", "NRestarts"))
	}
}

// status is what the daemon's command says, without a process for it: a path of
// the machine leads to its control socket.
func (d *managedDaemon) status() (lifecycle.Status, error) {
	var s lifecycle.Status
	var out bytes.Buffer
	options := lifecycle.Options{Name: "daemon", ControlSocket: d.machine.Root() + "/run/daemon/control"}
	err := lifecycle.Command(d.t.Context(), options, []string{"status", "-json"}, &out)
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &s)
	}
	return s, err
}

func (d *managedDaemon) stop() {
	d.machine.MustRun("systemctl", "stop", "daemon.socket", "daemon.service")
	d.machine.MustRun("systemctl", "reset-failed")
	if left := d.machine.Processes("daemon.service"); len(left) > 0 {
		d.t.Errorf("processes left: %+v", left)
	}
}
