package chaos_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// Invariants are what is the same after each step.
type invariants struct {
	descriptors int // of the process, but for those of connections
	manager     int // descriptors of systemd
}

// stored is how many descriptors systemd holds: the handover socket, and the
// three of the ledger.
const stored = 4

// check checks all that must be true whenever nothing is under way.
func (d *driver) check() {
	d.t.Helper()
	s := d.settled(d.generation)
	d.generation, d.pid = s.Generation, s.PID
	d.checkBroken()
	d.checkOwners()
	d.checkCounts()
	d.sweep()
	for property, want := range map[string]string{"ActiveState": "active", "SubState": "running"} {
		if got := d.machine.Property(unit, property); got != want {
			d.t.Errorf("%s=%s, want %s", property, got, want)
		}
	}
}

// checkCounts compares what the service and systemd hold with what they did
// when the first process had served for a while. Connections of the status
// command come and go.
func (d *driver) checkCounts() {
	d.t.Helper()
	var now invariants
	n := 0
	if !patience.Until(20*time.Second, func() bool {
		now, n = d.counts(), d.number(unit, "NFileDescriptorStore")
		return now.descriptors <= d.before.descriptors && now.manager <= d.before.manager && n == stored
	}) {
		status, err := d.status()
		text, _ := json.Marshal(status)
		d.t.Logf("status %s, %v", text, err)
		d.t.Errorf("%+v, and %d descriptors stored, want %+v and %d:\n%s\nsystemd has\n%s", now, n, d.before, stored, d.list(d.pid), d.list(1))
	}
}

// counts counts. The fewest of a while count.
func (d *driver) counts() invariants {
	d.t.Helper()
	least := invariants{1 << 30, 1 << 30}
	for range 10 {
		sockets := d.sockets()
		holders := d.holders(d.pid)
		n := 0
		for inode, times := range holders {
			if _, ok := sockets[inode]; !ok {
				n += times
			}
		}
		least.descriptors = min(least.descriptors, n)
		least.manager = min(least.manager, d.machine.Descriptors(1))
		time.Sleep(patience.Of(5 * time.Millisecond))
	}
	return least
}

// list names what a process has open.
func (d *driver) list(pid int) string {
	var b strings.Builder
	for name, times := range d.holders(pid) {
		fmt.Fprintf(&b, "%d of %s\n", times, name)
	}
	return b.String()
}

// sockets are those of the server's side of connections, in whatever state, as
// /proc/PID/fd names them. The value says whether the connection is open on
// both sides.
func (d *driver) sockets() map[string]bool {
	d.t.Helper()
	text, err := os.ReadFile(d.proc(1, "net/tcp"))
	if err != nil {
		d.t.Fatal(err)
	}
	sockets := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
		fields := strings.Fields(line)
		const established, listening, notAccepted = "01", "0A", "0"
		if len(fields) < 10 || fields[3] == listening || fields[9] == notAccepted {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		if port == fmt.Sprintf("%04X", 8080) || port == fmt.Sprintf("%04X", 8443) {
			sockets["socket:["+fields[9]+"]"] = fields[3] == established
		}
	}
	return sockets
}

// holders says how often a process has each file open.
func (d *driver) holders(pid int) map[string]int {
	names, _ := filepath.Glob(d.proc(pid, "fd/*")) // none, if it has ended
	open := make(map[string]int)
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil {
			open[target]++
		}
	}
	return open
}

// checkOwners checks that one descriptor of all processes is of each connection.
// Connections come and go while this looks, so it looks again at those that are
// not as they should be.
func (d *driver) checkOwners() {
	d.t.Helper()
	var wrong map[string]int
	if !patience.Until(10*time.Second, func() bool {
		now := d.wrongOwners()
		if wrong == nil {
			wrong = now
		}
		maps.DeleteFunc(wrong, func(inode string, _ int) bool { _, ok := now[inode]; return !ok })
		return len(wrong) == 0
	}) {
		d.t.Errorf("connections with another number of owners than one: %v", wrong)
	}
}

// wrongOwners returns how many descriptors there are of each connection that has
// not one.
func (d *driver) wrongOwners() map[string]int {
	d.t.Helper()
	sockets := d.sockets()
	owners := make(map[string]int)
	processes, err := filepath.Glob(d.path("/proc/[0-9]*"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, process := range processes {
		pid := 0
		_, _ = fmt.Sscan(filepath.Base(process), &pid)
		for inode, times := range d.holders(pid) {
			owners[inode] += times
		}
	}
	wrong := make(map[string]int)
	for inode, open := range sockets {
		if open && owners[inode] != 1 {
			wrong[inode] = owners[inode]
		}
	}
	return wrong
}
