package lifecycle_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// packetUnits are the units of the packet server: alone, and with a socket
// unit.
var packetUnits = []struct{ name, service, socket string }{
	{"alone", packetService(storedService), ""},
	{"socket", packetService(strings.Replace(storedService, "FileDescriptorStoreMax=16\n", "Sockets=daemon.socket\n", 1)),
		strings.Replace(daemonSocket, "ListenStream", "ListenDatagram", 1)},
}

func packetService(service string) string {
	return strings.NewReplacer("ROLE=daemon", "ROLE=packet", "LISTEN=tcp!", "LISTEN=udp!").Replace(service)
}

// bootPackets boots a systemd that runs the packet server.
func bootPackets(t *testing.T, v sdtest.Version, service, socket string) *managedDaemon {
	t.Helper()
	machine := sdtest.Boot(t, v)
	machine.Install(os.Args[0], "/usr/bin/daemon")
	machine.WriteFile("/etc/systemd/system/daemon.service", service, 0o644)
	if socket != "" {
		machine.WriteFile("/etc/systemd/system/daemon.socket", socket, 0o644)
	}
	machine.MustRun("systemctl", "daemon-reload")
	machine.MustRun("systemctl", "start", "daemon.service")
	return &managedDaemon{t, machine}
}

func (d *managedDaemon) dialUDP() (net.Conn, error) {
	return d.machine.Dial(d.t.Context(), "udp", "127.0.0.1:8080")
}

// dropped is how many datagrams the kernel has dropped for want of room.
func (d *managedDaemon) dropped() int {
	d.t.Helper()
	var names, values []string
	for line := range strings.Lines(d.machine.MustRun("cat", "/proc/net/snmp")) {
		if strings.HasPrefix(line, "Udp:") {
			names, values = values, strings.Fields(line)
		}
	}
	for i, name := range names {
		if name == "RcvbufErrors" {
			n, err := strconv.Atoi(values[i])
			if err != nil {
				d.t.Fatal(err)
			}
			return n
		}
	}
	d.t.Fatal("no RcvbufErrors in /proc/net/snmp")
	return 0
}

// TestPacketManaged reloads and restarts a datagram server on each systemd:
// each datagram is answered, and once.
func TestPacketManaged(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		for _, unit := range packetUnits {
			t.Run(v.String()+"/"+unit.name, func(t *testing.T) {
				t.Parallel()
				d := bootPackets(t, v, unit.service, unit.socket)
				clients := askPackets(t, 4, 40*time.Millisecond, d.dialUDP)
				for range sdtest.Rounds(v, packetRounds) / len(packetUnits) {
					clients.catchUp()
					d.reload()
					clients.catchUp()
					d.restart()
				}
				clients.verify()
				if n := d.dropped(); n > 0 {
					t.Errorf("the kernel has dropped %d datagrams: the test asks too much", n)
				}
				if journal := d.machine.Journal("-u", "daemon.service"); strings.Contains(journal, "BAD") {
					t.Error("see the journal for BAD")
				}
			})
		}
	}
}

// packetKills are which process is killed at which step.
var packetKills = []struct{ command, who, step string }{
	{"reload", "old", "go"},
	{"reload", "old", "handed over"},
	{"reload", "new", "take over"},
	{"reload", "new", "main"},
	{"restart", "old", "stop"},
	{"restart", "new", "store"},
}

// TestPacketKill kills the old or the new process at each step of a handover:
// of all datagrams, only those are lost that a killed process had read. The
// others waited in the socket, which systemd has as well. Systemd 257 is left
// out because it waits for TimeoutStartSec when the main process dies in a
// reload.
func TestPacketKill(t *testing.T) {
	t.Parallel()
	for _, v := range []sdtest.Version{sdtest.V252, sdtest.V262} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			killPackets(t, bootPackets(t, v, packetUnits[0].service, ""))
		})
	}
}

func killPackets(t *testing.T, d *managedDaemon) {
	t.Helper()
	clients := askPackets(t, 4, 20*time.Millisecond, d.dialUDP)
	for _, kill := range packetKills {
		clients.hearMore()
		generation := d.generation()
		if kill.who == "new" {
			generation++
		}
		d.machine.WriteFile("/run/daemon/kill", fmt.Sprint(generation, " ", kill.step), 0o644)
		_, _ = d.machine.Run("systemctl", kill.command, "daemon.service") // fails in some cases
		d.machine.Wait(kill.command+": the kill of the "+kill.who+" at "+kill.step, func() bool {
			return !exists(d.machine.Root() + "/run/daemon/kill")
		})
		d.machine.Wait("one process, that serves and that systemd knows", d.isSettled)
	}
	clients.hearMore()
	clients.verifyKills(len(packetKills), d.notes)
	if n := d.dropped(); n > 0 {
		t.Errorf("the kernel has dropped %d datagrams: the test asks too much", n)
	}
}

// isSettled reports whether the only process serves and is the main one. An
// orphan that systemd is about to stop serves as well.
func (d *managedDaemon) isSettled() bool {
	d.t.Helper()
	s, err := d.status()
	return err == nil && s.State == lifecycle.Ready &&
		d.machine.Property("daemon.service", "MainPID") == strconv.Itoa(s.PID) &&
		d.machine.Property("daemon.service", "SubState") == "running" &&
		len(d.machine.Processes("daemon.service")) == 1
}

// notes is what all generations say they have read.
func (d *managedDaemon) notes() string {
	notes, _ := os.ReadFile(d.machine.Root() + "/run/daemon/read")
	return string(notes)
}

// generation is the one that answers the command status, 0 if none does.
func (d *managedDaemon) generation() int {
	s, err := d.status()
	if err != nil || s.State != lifecycle.Ready {
		return 0
	}
	return s.Generation
}
