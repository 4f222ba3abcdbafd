package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// atRest waits until no thread of a process runs or is about to, so until it
// has done all that it was asked to do. A client has its response a moment
// before its connection is at rest, in which a busy machine may stop the thread
// that serves it.
//
// Threads are looked at one by one, and one that slept may be woken by one that
// is looked at later. But where two looks see the same, all have slept from the
// end of the first to the beginning of the second.
func atRest(t *testing.T, h host, pid int) {
	t.Helper()
	h.wait("no thread of the process to run", func() bool {
		first, asleep := lookAtThreads(t, h.proc(pid))
		if !asleep {
			return false
		}
		second, asleep := lookAtThreads(t, h.proc(pid))
		return asleep && first == second
	})
}

// lookAtThreads says how often each thread of a process has been switched, and
// whether all are asleep. It takes the folder of the process.
func lookAtThreads(t *testing.T, proc string) (switches string, asleep bool) {
	t.Helper()
	threads, err := filepath.Glob(proc + "/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads in %s: %v, %v", proc, threads, err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "\nState:\tS") {
			return "", false // the thread has ended, or runs
		}
		_, counts, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		switches += path + counts
	}
	return switches, true
}

// A tcpSocket is one of a machine's, as the kernel lists it.
type tcpSocket struct {
	local, remote  string // addresses, in hexadecimal
	listens        bool
	unsent, unread bool // there are bytes that were not acknowledged, or not read
	inode          string
}

// tcpSockets lists those of the machine's network.
func (h *managed) tcpSockets() []tcpSocket {
	h.t.Helper()
	text, err := os.ReadFile(h.proc(1) + "/net/tcp")
	if err != nil {
		h.t.Fatal(err)
	}
	var list []tcpSocket
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // see proc_pid_net(5)
		if len(f) < 10 || f[0] == "sl" {
			continue
		}
		unsent, unread, _ := strings.Cut(f[4], ":")
		list = append(list, tcpSocket{f[1], f[2], f[3] == "0A", strings.Trim(unsent, "0") != "", strings.Trim(unread, "0") != "", f[9]})
	}
	return list
}

// connections counts the connections of TCP that a process has open. Those that
// it has put into a queue are not among them.
func (h *managed) connections(pid int) int {
	h.t.Helper()
	connected := make(map[string]bool)
	for _, s := range h.tcpSockets() {
		connected["socket:["+s.inode+"]"] = !s.listens
	}
	files, err := filepath.Glob(h.proc(pid) + "/fd/*")
	if err != nil || len(files) == 0 {
		h.t.Fatalf("descriptors of process %d: %v, %v", pid, files, err)
	}
	n := 0
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && connected[target] { // else it was just closed
			n++
		}
	}
	return n
}

// taken waits until everything that the callers have sent was read.
func (h *managed) taken(c *callers) {
	h.t.Helper()
	type ends struct{ caller, service string }
	ours := make(map[ends]bool) // a connection to another address may have the same port
	hexadecimal := func(addr net.Addr) string {
		a := addr.(*net.TCPAddr)
		ip := a.IP.To4()
		return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], a.Port)
	}
	for _, conn := range c.conns {
		ours[ends{hexadecimal(conn.LocalAddr()), hexadecimal(conn.RemoteAddr())}] = true
	}
	all := func(is func(tcpSocket) bool) func() bool {
		return func() bool {
			n := 0
			for _, s := range h.tcpSockets() {
				if is(s) {
					n++
				}
			}
			return n == len(ours)
		}
	}
	h.wait("what was sent to arrive", all(func(s tcpSocket) bool { return ours[ends{s.local, s.remote}] && !s.unsent }))
	h.wait("what has arrived to be read", all(func(s tcpSocket) bool { return ours[ends{s.remote, s.local}] && !s.unread }))
}
