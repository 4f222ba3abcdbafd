package lifecycle_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/notify"
)

// eachSystemd runs a test with the daemon on each systemd, its unit changed by
// pairs of old and new text.
func eachSystemd(t *testing.T, test func(t *testing.T, d *managedDaemon), edits ...string) {
	t.Helper()
	onSystemds(t, sdtest.Turn(t.Name()), test, edits...)
}

func onSystemds(t *testing.T, versions []sdtest.Version, test func(t *testing.T, d *managedDaemon), edits ...string) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			machine := sdtest.Boot(t, v)
			machine.Install(os.Args[0], "/usr/bin/daemon")
			machine.WriteFile("/etc/systemd/system/daemon.service", strings.NewReplacer(edits...).Replace(storedService), 0o644)
			machine.MustRun("systemctl", "daemon-reload")
			machine.MustRun("systemctl", "start", "daemon.service")
			test(t, &managedDaemon{t, machine})
		})
	}
}

func (d *managedDaemon) restart() { d.machine.MustRun("systemctl", "restart", "daemon.service") }

func (d *managedDaemon) reload() { d.machine.MustRun("systemctl", "reload", "daemon.service") }

// listen changes what the next generation listens on.
func (d *managedDaemon) listen(config string) {
	d.machine.WriteFile("/run/daemon/listen", config, 0o644)
}

// stores waits until so many descriptors are stored beside the three of the
// ledger: what the daemon says on its way arrives a moment later.
func (d *managedDaemon) stores(sockets int) {
	d.t.Helper()
	d.storesInAll(sockets + 3)
}

func (d *managedDaemon) storesInAll(n int) {
	d.t.Helper()
	got, want := "", strconv.Itoa(n)
	err := eventually(func() bool {
		got = d.machine.Property("daemon.service", "NFileDescriptorStore")
		return got == want
	})
	if err != nil {
		list, _ := d.machine.Run("systemd-analyze", "fdstore", "daemon.service")
		d.t.Fatalf("%s descriptors are stored, want %s:\n%s", got, want, list)
	}
}

func (d *managedDaemon) mustExchange(clients []kept, generation int) {
	d.t.Helper()
	for _, c := range clients {
		if got, err := c.exchange(); err != nil || got != generation {
			d.t.Fatalf("generation %d answers, %v, want %d", got, err, generation)
		}
	}
}

// TestStoreJustLargeEnough has room for the listener and one handover socket,
// so that a successor's own must wait.
func TestStoreJustLargeEnough(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		clients := d.connect(10)
		for generation := 2; generation <= 6; generation++ {
			d.restart()
			d.mustExchange(clients, generation)
		}
		d.reload()
		d.restart()
		d.mustExchange(clients, 8)
	}, "FileDescriptorStoreMax=16", "FileDescriptorStoreMax=2")
}

// TestStopWhileTakingOver stops a process when it has taken connections over,
// and what they came in still takes up the room for its own handover socket.
func TestStopWhileTakingOver(t *testing.T) {
	t.Parallel()
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		const hold = "/run/daemon/hold"
		clients := d.connect(10)
		d.machine.WriteFile(hold, "2 settle", 0o644)
		d.restart()
		restart := d.machine.Start("systemctl", "restart", "daemon.service")
		d.machine.Wait("the drain", func() bool {
			s, err := d.status()
			return err == nil && s.State == lifecycle.Draining
		})
		time.Sleep(10 * time.Millisecond) // the linger is over then
		d.machine.MustRun("rm", hold)
		if out, err := restart.Wait(); err != nil {
			t.Fatalf("restart: %v: %s", err, out)
		}
		d.mustExchange(clients, 3)
	}, "FileDescriptorStoreMax=16", "FileDescriptorStoreMax=2\nEnvironment=HEIRLOOM_TEST_LINGER=1ms")
}

// TestStoreTooSmall has no room for the listener, or no store at all:
// connections are told to close, and the service works.
func TestStoreTooSmall(t *testing.T) {
	for _, max := range []string{"0", "1"} {
		t.Run(max, func(t *testing.T) {
			eachSystemd(t, func(t *testing.T, d *managedDaemon) {
				for range 3 {
					clients := d.connect(10)
					d.restart()
					d.mustExchange(d.connect(1), map[string]int{"0": 1, "1": 2}[max])
					if _, err := clients[0].exchange(); err != nil && max == "1" {
						t.Errorf("a connection that was queued: %v", err)
					}
					d.machine.MustRun("systemctl", "stop", "daemon.service")
					d.machine.MustRun("systemctl", "start", "daemon.service")
				}
				d.reload()
				d.mustExchange(d.connect(1), 2)
			}, "FileDescriptorStoreMax=16", "FileDescriptorStoreMax="+max)
		})
	}
}

// TestStoreFollowsConfiguration changes name and address of the listener: what
// is stored follows.
func TestStoreFollowsConfiguration(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		clients := d.connect(5)
		d.listen("web!127.0.0.1:8080") // the same socket by another name
		d.restart()
		d.mustExchange(d.connect(1), 2)
		d.stores(2)
		if _, err := clients[0].exchange(); err == nil {
			t.Error("connections of a listener that is not configured any more were served")
		}
		d.listen("web!127.0.0.1:8081") // another socket by the same name
		d.restart()
		d.stores(2)
		d.machine.Wait("the old address to be closed", func() bool { // by systemd as well, which does so in the background
			nc, err := d.machine.Dial(t.Context(), "tcp", "127.0.0.1:8080")
			if err == nil {
				_ = nc.Close()
			}
			return err != nil
		})
		d.listen("web!127.0.0.1:8080")
		d.reload()
		d.mustExchange(d.connect(1), 4)
		d.stores(2)
		clients = d.connect(5)
		d.restart()
		d.mustExchange(clients, 5)
	})
}

// TestForeignStoredState finds in the store what a later version has left
// there, and must leave it to one that understands it.
func TestForeignStoredState(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		waiting := d.connect(3)
		d.listen("http!127.0.0.1:8080")
		d.machine.WriteFile("/run/daemon/role", "future", 0o644)
		d.restart() // leaves what nobody can read
		d.storesInAll(3)
		d.machine.MustRun("rm", "/run/daemon/role")
		d.restart()
		d.mustExchange(waiting, 100)
		d.stores(3)
		d.restart()
		d.mustExchange(waiting, 101)
		d.stores(3)
		if !strings.Contains(d.machine.Journal("-u", "daemon.service"), "ignoring connections that an earlier process queued") {
			t.Error("the journal does not say that something was left alone")
		}
	})
}

// TestOutdatedStoredState finds in the store what a build of protocol 1 has
// left there. It is dropped, with one warning, and all else is kept.
func TestOutdatedStoredState(t *testing.T) {
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		waiting := d.connect(3)
		d.listen("http!127.0.0.1:8080")
		d.machine.WriteFile("/run/daemon/role", "past", 0o644)
		d.restart() // leaves what nobody reads any more
		d.storesInAll(3)
		d.machine.MustRun("rm", "/run/daemon/role")
		d.restart()
		d.mustExchange(waiting, 100)
		d.stores(2)
		d.restart()
		d.mustExchange(waiting, 101)
		d.stores(2)
		journal := d.machine.Journal("-u", "daemon.service")
		if n := strings.Count(journal, "dropping what a process of an older version stored"); n != 1 || !strings.Contains(journal, "the other process speaks 1") {
			t.Errorf("%d warnings in the journal, want one with the reason", n)
		}
	})
}

// leaveStored is a main that stores a handover socket, from the future or the
// past, which this version cannot read, and does no more.
func leaveStored(when string) error {
	notifier, err := notify.New()
	if err != nil {
		return err
	}
	conn, end, err := handover.Pair()
	if err != nil {
		return err
	}
	const later = handover.Protocol + 1
	m := handover.Message{Type: handover.Hello, Process: handover.Process{Protocol: later, MinReader: later, Generation: 98}}
	if when == "past" {
		m.Type, m.Protocol, m.MinReader = "inheritance", 1, 1
	}
	if err := conn.Send(m); err != nil {
		return err
	}
	if err := conn.Send(handover.Message{Type: handover.Stop}); err != nil { // which is not for a reader of another protocol
		return err
	}
	if err := notifier.Notify(notify.FDStore("heirloom-99", end), notify.FDStoreNoPoll()); err != nil {
		return err
	}
	if err := notifier.Notify(notify.Ready()); err != nil {
		return err
	}
	ctx, cancel := patience.Context(background, time.Minute)
	defer cancel()
	_ = notifier.Barrier(ctx)
	_ = unix.Pause()
	return nil
}
