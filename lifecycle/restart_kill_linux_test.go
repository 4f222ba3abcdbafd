package lifecycle_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// storedService keeps what it needs for a restart, its RuntimeDirectory
// included, where the tests say whom to kill.
var storedService = strings.NewReplacer(
	"[Service]\n", "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\n",
	"Sockets=daemon.socket\n", "FileDescriptorStoreMax=16\n",
	"RuntimeDirectory=daemon\n", "RuntimeDirectory=daemon\nRuntimeDirectoryPreserve=yes\n",
).Replace(daemonService)

// TestKillRestart kills the old or the new process at each step of a restart,
// on each systemd. What a process has taken from the queue dies with it; what
// waits there does not.
func TestKillRestart(t *testing.T) {
	tests := []struct {
		kill   string
		keeps  bool // the connections
		serves int
	}{
		{"1 stop", false, 2},
		{"1 queued", true, 2},
		{"2 store", true, 2},
		{"2 stored", true, 3},
		{"2 settle", false, 3},
	}
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			machine.WriteFile("/etc/systemd/system/daemon.service", storedService, 0o644)
			machine.MustRun("systemctl", "daemon-reload")
			for _, test := range tests {
				t.Run(strings.ReplaceAll(test.kill, " ", "-"), func(t *testing.T) {
					d := &managedDaemon{t, machine.For(t)}
					d.machine.MustRun("systemctl", "start", "daemon.service")
					defer func() {
						d.machine.MustRun("systemctl", "stop", "daemon.service")
						d.machine.MustRun("systemctl", "reset-failed")
					}()
					clients := d.connect(20)
					d.machine.WriteFile("/run/daemon/kill", test.kill, 0o644)
					_, _ = d.machine.Run("systemctl", "restart", "daemon.service") // fails where the new process is killed
					for _, c := range clients {
						if generation, err := c.exchange(); test.keeps && (err != nil || generation != test.serves) {
							t.Errorf("generation %d answers, %v, want %d", generation, err, test.serves)
						}
					}
					d.awaitService("01", test.serves)
					for _, c := range d.connect(20) {
						if generation, err := c.exchange(); err != nil || generation != test.serves {
							t.Errorf("new connection: generation %d answers, %v, want %d", generation, err, test.serves)
						}
					}
					d.machine.MustRun("systemctl", "restart", "daemon.service")
					d.awaitService("01", test.serves+1)
				})
			}
		})
	}
}

// TestKillHandedOver kills a process in a reload when it has named its successor
// the main process, and has not told it so. The successor's connections outlive
// a crash nevertheless.
func TestKillHandedOver(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			machine.WriteFile("/etc/systemd/system/daemon.service", storedService, 0o644)
			machine.MustRun("systemctl", "daemon-reload")
			machine.MustRun("systemctl", "start", "daemon.service")
			d := &managedDaemon{t, machine}
			machine.WriteFile("/run/daemon/kill", "1 handed over", 0o644)
			_, _ = machine.Run("systemctl", "reload", "daemon.service") // may fail: nobody answers the command
			d.awaitService("0", 2)
			clients := d.connect(20)
			if err := eventually(func() bool {
				s, err := d.status()
				return err == nil && s.Ledger != nil && s.Ledger.Kept == len(clients)
			}); err != nil {
				s, _ := d.status()
				t.Fatalf("connections are not kept: %v", s.Ledger)
			}
			machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "daemon.service")
			d.awaitService("1", 3)
			for _, c := range clients {
				if generation, err := c.exchange(); err != nil || generation != 3 {
					t.Errorf("generation %d answers, %v, want 3", generation, err)
				}
			}
		})
	}
}

// A kept is a connection that is asked again and again.
type kept struct {
	net.Conn
	reader *bufio.Reader
}

func newKept(nc net.Conn) *kept { return &kept{nc, bufio.NewReader(nc)} }

// connect opens connections each of which has been answered once.
func (d *managedDaemon) connect(n int) []kept {
	d.t.Helper()
	clients := make([]kept, n)
	for i := range clients {
		nc, err := d.machine.Dial(d.t.Context(), "tcp", "127.0.0.1:8080")
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = nc.Close() })
		clients[i] = *newKept(nc)
		if _, err := clients[i].exchange(); err != nil {
			d.t.Fatal(err)
		}
	}
	return clients
}

// exchange asks, and returns which generation answered.
func (c kept) exchange() (generation int, err error) {
	_ = c.SetDeadline(patience.Deadline(30 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(string(body), "hello from generation %d", &generation)
	return generation, err
}
