package e2e_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// room is how much more memory a process is left with.
const room = 64 << 20

// A memoryLimit has a process die for want of memory when it wants more. It
// returns what tells whether it was that which it died of.
type memoryLimit func(h *managed, p sdtest.Process) (died func() bool)

// TestKillForMemory has a request use up the memory. Only the connection by which
// it came is lost.
func TestKillForMemory(t *testing.T) {
	t.Parallel()
	limits := map[string]memoryLimit{"ulimit": limitAddresses}
	if mount := memoryController(t); mount != "" {
		limits["oom"] = func(h *managed, p sdtest.Process) func() bool { return limitGroup(h.t, mount, p) }
	}
	for name, limit := range limits {
		for _, v := range sdtest.Turn(t.Name()) {
			t.Run(fmt.Sprintf("%s-%d", name, v), func(t *testing.T) {
				t.Parallel()
				h := crashing(t, v)
				began := time.Now()
				idle, poisoner := call(t, h.target(), 50), call(t, h.target(), 1)
				h.keeps(51)
				poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond })
				process := h.machine.Processes("hello.service")[0]
				died := limit(h, process)
				h.atRest(process.PID)
				poisoner.write("GET /poison/memory HTTP/1.1\r\nHost: hello\r\n\r\n")
				h.awaitGeneration(2)
				h.wait("the reason to be known, which is the memory", died)
				idle.expect(2)
				poisoner.closed()
				h.keeps(50)
				if s := h.tookOver(); s.Ledger.Adopted != 50 || s.Ledger.Cut != 1 {
					t.Error(s.Ledger)
				}
			})
		}
	}
}

// limitAddresses is for machines whose kernel has no memory controller: the
// process ends itself when the kernel refuses it more (setrlimit(2)).
func limitAddresses(h *managed, p sdtest.Process) func() bool {
	t := h.t
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.HostPID))
	if err != nil {
		t.Fatal(err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		t.Fatal(err)
	}
	limit := pages*uint64(os.Getpagesize()) + room
	if err := unix.Prlimit(p.HostPID, unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	return func() bool { // the Go runtime's last words, which the journal may have late
		return strings.Contains(h.machine.Journal("-o", "cat", "_PID="+itoa(p.PID)), "fatal error: ")
	}
}

// memoryController returns where the kernel's memory controller is mounted, of
// the first version of control groups, which needs nobody's leave.
func memoryController(t *testing.T) string {
	t.Helper()
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 3 && fields[2] == "cgroup" && strings.Contains(","+fields[3]+",", ",memory,") {
			return fields[1]
		}
	}
	return ""
}

// limitGroup puts the process into a control group of its own, in which the
// kernel kills what wants more.
func limitGroup(t *testing.T, mount string, p sdtest.Process) func() bool {
	t.Helper()
	group, err := os.MkdirTemp(mount, "heirloom-oom-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { poll(t, "the control group to be empty", func() bool { return os.Remove(group) == nil }) })
	write := func(name string, value int) {
		if err := os.WriteFile(filepath.Join(group, name), []byte(strconv.Itoa(value)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("memory.swappiness", 0)
	write("memory.limit_in_bytes", room)
	write("cgroup.procs", p.HostPID)
	return func() bool {
		control, err := os.ReadFile(filepath.Join(group, "memory.oom_control"))
		return err == nil && strings.Contains(string(control), "oom_kill 1\n")
	}
}
