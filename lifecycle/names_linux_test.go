package lifecycle_test

import (
	"os"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestSocketNames has an operator forget FileDescriptorName=, read what the
// daemon says of it, and do that; and hand over a socket that nobody asks for.
func TestSocketNames(t *testing.T) {
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d := &managedDaemon{t, sdtest.Boot(t, v)}
			d.machine.Install(os.Args[0], "/usr/bin/daemon")
			d.machine.WriteFile("/etc/systemd/system/daemon.service",
				strings.Replace(daemonService, "Restart=on-failure\n", "", 1), 0o644)
			d.machine.WriteFile("/etc/systemd/system/daemon.socket",
				"[Socket]\nListenStream=127.0.0.1:8080\nListenStream=127.0.0.1:8081\n", 0o644)
			d.machine.MustRun("systemctl", "daemon-reload")
			d.machine.MustRun("systemctl", "start", "daemon.socket")
			if out, err := d.machine.Run("systemctl", "start", "daemon.service"); err == nil {
				t.Fatalf("the service started: %s", out)
			}
			d.awaitJournal(`no socket named "http" was handed over, only "daemon.socket" (fd 3, tcp listener, 127.0.0.1:8080), ` +
				`"daemon.socket" (fd 4, tcp listener, 127.0.0.1:8081); ` +
				`"daemon.socket" has this address: name it by FileDescriptorName=http in daemon.socket: ` +
				`listen tcp 127.0.0.1:8080: bind: address already in use`)

			d.machine.WriteFile("/etc/systemd/system/daemon.socket.d/name.conf", "[Socket]\nFileDescriptorName=http\n", 0o644)
			d.machine.WriteFile("/etc/systemd/system/other.socket",
				"[Socket]\nListenStream=127.0.0.1:8082\nListenDatagram=/run/other\nFileDescriptorName=other\nService=daemon.service\n", 0o644)
			d.machine.WriteFile("/etc/systemd/system/daemon.service",
				strings.Replace(daemonService, "Sockets=daemon.socket", "Sockets=daemon.socket other.socket", 1), 0o644)
			d.machine.MustRun("systemctl", "daemon-reload")
			d.machine.MustRun("systemctl", "start", "other.socket", "daemon.service") // daemon.socket goes on listening
			d.connect(1)
			journal := d.awaitJournal("ready: generation=1") // what is said of them comes before
			for _, other := range []string{"tcp listener, 127.0.0.1:8081", "tcp listener, 127.0.0.1:8082", "unixgram socket, /run/other"} {
				if !strings.Contains(journal, other) {
					t.Errorf("the journal has nothing of the %s that nobody asked for", other)
				}
			}
			if n := strings.Count(journal, "nobody asked for a socket that was handed over: its clients get no answer"); n != 3 {
				t.Errorf("%d sockets are complained of, want 3:\n%s", n, journal)
			}
			d.machine.MustRun("systemctl", "stop", "daemon.socket", "other.socket", "daemon.service")
		})
	}
}
