package sdtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Process is a process of a unit.
type Process struct {
	HostPID int      // as seen from the host
	PID     int      // as seen inside
	PPID    int      // as seen inside; 0 when the parent is outside
	State   byte     // as in /proc/PID/stat: 'R', 'S', 'D', 'T', 'Z'
	Cmdline []string // empty for a zombie
}

// Processes returns the processes in the unit's control group and those below
// it, lowest PID first. A unit that does not run has none. One that ends while
// it is being looked at is left out.
func (m *Machine) Processes(unit string) []Process {
	m.t.Helper()
	group := m.Property(unit, "ControlGroup")
	if group == "" {
		return nil
	}
	pids, err := groupPIDs(m.cgroup + group)
	if err != nil {
		m.t.Fatalf("processes of %s: %v", unit, err)
	}
	var list []Process
	for _, pid := range pids {
		p, err := m.process(pid)
		switch {
		case err == nil:
			list = append(list, p)
		case !gone(err):
			m.t.Fatalf("process %d of %s: %v", pid, unit, err)
		}
	}
	slices.SortFunc(list, func(a, b Process) int { return a.PID - b.PID })
	return list
}

// Kill sends a signal to the process with this id inside, also to PID 1. It
// fails the test if there is none.
func (m *Machine) Kill(pid int, sig syscall.Signal) {
	m.t.Helper()
	if err := signalProcess(m.proc(pid), sig); err != nil {
		m.t.Fatalf("send %v to process %d inside: %v", sig, pid, err)
	}
}

// Descriptors counts the open descriptors of the process with this id inside.
// It fails the test if there is none.
func (m *Machine) Descriptors(pid int) int {
	m.t.Helper()
	return m.count(pid, "fd")
}

// Threads counts the threads of the process with this id inside. It fails the
// test if there is none.
func (m *Machine) Threads(pid int) int {
	m.t.Helper()
	return m.count(pid, "task")
}

func (m *Machine) count(pid int, dir string) int {
	m.t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.proc(pid), dir))
	if err != nil {
		m.t.Fatalf("process %d inside: %v", pid, err)
	}
	return len(entries)
}

// proc is the folder of a process in the machine's own /proc.
func (m *Machine) proc(pid int) string { return fmt.Sprintf("%s/proc/%d", m.Root(), pid) }

// groupPIDs reads the process ids, as seen from the host, of a control group
// and all below it.
func groupPIDs(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil || !d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil && !gone(err) {
			return err
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return fmt.Errorf("%s/cgroup.procs: %w", path, err)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
}

// process looks at a process by its id on the host. The host's /proc tells its
// id inside, the machine's own the rest.
func (m *Machine) process(hostPID int) (Process, error) {
	p := Process{HostPID: hostPID}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", hostPID))
	if err != nil {
		return p, err
	}
	if p.PID, err = insidePID(string(status)); err != nil {
		// One that was just waited for has only zeros there.
		if _, statErr := os.Stat(fmt.Sprintf("/proc/%d", hostPID)); gone(statErr) {
			err = statErr
		}
		return p, err
	}
	stat, err := os.ReadFile(m.proc(p.PID) + "/stat")
	if err != nil {
		return p, err
	}
	if p.State, p.PPID, err = parseStat(string(stat)); err != nil {
		return p, err
	}
	cmdline, err := os.ReadFile(m.proc(p.PID) + "/cmdline")
	if len(cmdline) > 0 {
		p.Cmdline = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	}
	return p, err
}

// insidePID finds in /proc/PID/status the id one process namespace below the
// reader's: NSpid names the reader's own first, and a unit with PrivatePIDs=yes
// has a third.
func insidePID(status string) (int, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		pids := strings.Fields(value)
		if len(pids) < 2 {
			return 0, fmt.Errorf("NSpid %q: not in a machine", strings.TrimSpace(value))
		}
		pid, err := strconv.Atoi(pids[1])
		if err != nil || pid <= 0 {
			return 0, fmt.Errorf("NSpid %q: not a process id", strings.TrimSpace(value))
		}
		return pid, nil
	}
	return 0, errors.New("status has no NSpid")
}

// parseStat reads state and parent from /proc/PID/stat. The name before them
// may hold spaces and parentheses itself.
func parseStat(stat string) (state byte, ppid int, err error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("stat %q: no state and parent", stat)
	}
	ppid, err = strconv.Atoi(fields[1])
	if err != nil || ppid < 0 {
		return 0, 0, fmt.Errorf("stat %q: parent %q is no process id", stat, fields[1])
	}
	return fields[0][0], ppid, nil
}

// gone tells whether a process or control group ended while it was read.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV)
}
