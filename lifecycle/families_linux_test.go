package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// families serves everything that is called imap, and says at which address. A
// file named single in the RuntimeDirectory has it ask for one of a network.
func families(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	switch single, _ := os.ReadFile(inRuntimeDirectory("single")); string(single) {
	case "tcp":
		_, err := service.Listen("imap", "tcp", address)
		return err
	case "udp":
		_, err := service.ListenPacket("imap", "udp", address)
		return err
	}
	listeners, err := service.ListenAll("imap", "tcp", address)
	if err != nil {
		return err
	}
	for _, listener := range listeners {
		where := listener.Addr().String()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello from generation %d at %s", service.Generation(), where)
		})}
		if err := service.HTTP(listener, server); err != nil {
			return err
		}
	}
	conns, err := service.ListenPacketAll("imap", "udp", address)
	if err != nil {
		return err
	}
	for _, conn := range conns {
		if err := service.ServePacket(conn, packetServer(service.Generation())); err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}

const familiesSocket = `[Socket]
ListenStream=0.0.0.0:8080
ListenStream=[::]:8080
ListenStream=127.0.0.1:8081
ListenDatagram=0.0.0.0:8080
ListenDatagram=[::]:8080
BindIPv6Only=ipv6-only
FileDescriptorName=imap
`

// familiesClients are connections to each address, and the address that serves
// them.
var familiesClients = []struct{ dial, server string }{
	{"127.0.0.1:8080", "0.0.0.0:8080"},
	{"[::1]:8080", "[::]:8080"},
	{"127.0.0.1:8081", "127.0.0.1:8081"},
}

// TestListenAll has a socket unit with both families, and more, under one name.
// All of it is served, and each kept connection stays with its own address
// through reloads and restarts.
func TestListenAll(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			d := &managedDaemon{t, sdtest.Boot(t, v)}
			d.machine.Install(os.Args[0], "/usr/bin/daemon")
			d.machine.WriteFile("/etc/systemd/system/daemon.socket", familiesSocket, 0o644)
			d.machine.WriteFile("/etc/systemd/system/daemon.service", strings.NewReplacer("ROLE=daemon", "ROLE=families",
				"tcp!127.0.0.1:8080", "tcp!:8080", "FileDescriptorStoreMax=16\n", "FileDescriptorStoreMax=16\nSockets=daemon.socket\n",
				"HEIRLOOM_TEST_RELOAD=3s", "HEIRLOOM_TEST_RELOAD=1m", "TimeoutStartSec=5s", "TimeoutStartSec=1min").Replace(storedService), 0o644)
			d.machine.MustRun("systemctl", "daemon-reload")
			d.machine.MustRun("systemctl", "start", "daemon.service")

			var clients []*kept
			for _, c := range slices.Concat(familiesClients, familiesClients) {
				nc, err := d.machine.Dial(t.Context(), "tcp", c.dial)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = nc.Close() })
				clients = append(clients, newKept(nc))
			}
			for generation, change := range []func(){func() {}, d.reload, d.restart, d.reload, d.restart} {
				change()
				d.awaitService("0", generation+1) // alone: the one before may answer what was sent just then
				for i, c := range clients {
					c.servedAt(t, generation+1, familiesClients[i%len(familiesClients)].server)
				}
				for _, c := range familiesClients[:2] {
					d.askPacketAt(c.dial)
				}
			}
			for network, method := range map[string]string{"tcp": "ListenAll", "udp": "ListenPacketAll"} {
				d.machine.WriteFile("/run/daemon/single", network, 0o644)
				if out, err := d.machine.Run("systemctl", "reload", "daemon.service"); err == nil {
					t.Errorf("asking for one of several succeeded: %s", out)
				}
				d.awaitJournal("picks none: ambiguous; Service." + method + " returns them all")
			}
			d.machine.MustRun("systemctl", "stop", "daemon.socket", "daemon.service")
		})
	}
}

// servedAt asks, and checks which generation answers for which listener.
func (c *kept) servedAt(t *testing.T, generation int, address string) {
	t.Helper()
	_ = c.SetDeadline(patience.Deadline(time.Minute))
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	body, err := io.ReadAll(response.Body)
	if want := fmt.Sprintf("hello from generation %d at %s", generation, address); err != nil || string(body) != want {
		t.Errorf("%q, %v, want %q", body, err, want)
	}
}

// askPacketAt checks that a datagram is answered. A predecessor may do that
// that has just read it.
func (d *managedDaemon) askPacketAt(address string) {
	d.t.Helper()
	conn, err := d.machine.Dial(d.t.Context(), "udp", address)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(patience.Deadline(time.Minute))
	if _, err := fmt.Fprint(conn, "hello"); err != nil {
		d.t.Fatal(err)
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	if err != nil || !strings.HasSuffix(string(buffer[:n]), " hello") {
		d.t.Errorf("%s answers %q, %v", address, buffer[:n], err)
	}
}

// TestListenAllBinds has nothing handed over but by a predecessor, which had
// bound the one listener itself.
func TestListenAllBinds(t *testing.T) {
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=families")
	nc, err := net.Dial("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	client := newKept(nc)
	for generation := 1; generation <= 3; generation++ {
		client.servedAt(t, generation, d.address)
		d.reload()
		d.awaitAlone()
	}
	client.servedAt(t, 4, d.address)
}
