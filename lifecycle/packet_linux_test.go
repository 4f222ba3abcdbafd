package lifecycle_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
)

// packetRounds is how many generations follow each other in a test.
const packetRounds = 30

// startPackets starts the packet server without systemd.
func startPackets(t *testing.T, network string, env ...string) (*local, dialFunc) {
	t.Helper()
	address, dial := "", dialFunc(nil)
	if network == "udp" {
		address = freeport.Address(t, "udp")
		dial = func() (net.Conn, error) { return net.Dial("udp", address) }
	} else {
		address = filepath.Join(t.TempDir(), "server")
		dial = func() (net.Conn, error) { return dialUnixgram(t.TempDir(), address) }
	}
	env = append(env, "HEIRLOOM_TEST_ROLE=packet", "HEIRLOOM_TEST_LISTEN="+network+"!"+address)
	d := startLocal(t, "unix", env...)
	d.address = address
	t.Cleanup(func() {
		if strings.Contains(d.logged(), "BAD") {
			t.Errorf("log:\n%s", d.logged())
		}
	})
	return d, dial
}

var unixgramNumber atomic.Int64

// dialUnixgram gives the client a name, for the answers.
func dialUnixgram(dir, address string) (net.Conn, error) {
	own := filepath.Join(dir, fmt.Sprint("client", unixgramNumber.Add(1)))
	return net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: address, Net: "unixgram"})
}

// TestPacketReload replaces a datagram server again and again, each datagram is
// answered, and once.
func TestPacketReload(t *testing.T) {
	for _, test := range []struct {
		name, network string
		rounds        int
		env           []string
	}{
		{"udp", "udp", packetRounds, nil},
		{"udp by a worker", "udp", packetRounds / 3, []string{"HEIRLOOM_TEST_LOOP=yes"}},
		{"udp in place", "udp", packetRounds, []string{"HEIRLOOM_TEST_REPLACE=in-place"}},
		{"unixgram", "unixgram", packetRounds / 3, nil},
		{"unixgram in place", "unixgram", packetRounds / 3, []string{"HEIRLOOM_TEST_REPLACE=in-place"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d, dial := startPackets(t, test.network, test.env...)
			clients := askPackets(t, 4, 10*time.Millisecond, dial)
			for generation := 1; generation <= test.rounds; generation++ {
				clients.await(generation)
				d.reloadHere()
			}
			clients.await(test.rounds + 1)
			clients.verify()
		})
	}
}

// TestPacketReloadFails has successors that fail at every step, and a
// predecessor that serves on.
func TestPacketReloadFails(t *testing.T) {
	t.Parallel()
	d, dial := startPackets(t, "udp", "HEIRLOOM_TEST_RELOAD="+span(10*time.Second))
	clients := askPackets(t, 4, 10*time.Millisecond, dial)
	clients.await(1)
	for _, file := range []string{"exit", "kill", "hang"} {
		if err := os.WriteFile(filepath.Join(d.dir, file), []byte("2 take over"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := d.command("reload"); err == nil {
			t.Errorf("%s: the reload succeeded: %s", file, out)
		}
	}
	if n := clients.answersOf(2); n > 0 {
		t.Errorf("%d answers of a successor that failed", n)
	}
	d.reload()
	clients.await(2)
	clients.verify()
}

// TestPacketStop ends a service: it answers what it has read, and removes its
// path, which no reload before has.
func TestPacketStop(t *testing.T) {
	t.Parallel()
	d, dial := startPackets(t, "unixgram")
	clients := askPackets(t, 1, time.Hour, dial)
	d.reload()
	if !exists(d.address) {
		t.Fatal("the path is gone after a reload")
	}
	const text = "0/last"
	clients.asked[text] = true
	if _, err := clients.conns[0].Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	d.eventually("the datagram to be read", func() bool { return strings.Contains(d.notes(), text) })
	d.signal(syscall.SIGTERM)
	clients.await(2)
	clients.verify()
	d.eventually("the service to end", func() bool { return len(d.processes()) == 0 })
	if exists(d.address) {
		t.Error("the path is left")
	}
}

// notes is what the generations say they have read.
func (d *local) notes() string {
	notes, _ := os.ReadFile(filepath.Join(d.dir, "read"))
	return string(notes)
}

// TestPacketStopInReload stops a service whose successor has just begun to
// read: all that either has read is answered.
func TestPacketStopInReload(t *testing.T) {
	t.Parallel()
	d, dial := startPackets(t, "udp")
	clients := askPackets(t, 4, 5*time.Millisecond, dial)
	clients.await(1)
	if err := os.WriteFile(filepath.Join(d.dir, "freeze"), []byte("1 go"), 0o644); err != nil {
		t.Fatal(err)
	}
	reload := d.reloadInBackground()
	clients.await(2)
	first := d.awaitFrozen()
	clients.ends.Store(true)
	for _, pid := range d.processes() { // as systemd does
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	_ = syscall.Kill(first, syscall.SIGCONT)
	<-reload
	d.eventually("the service to end", func() bool { return len(d.processes()) == 0 })
	clients.verifyRead(d.notes)
}
