package scale

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often processes are looked at: how much time they took and how many
// descriptors they have, and how much memory, which costs them more.
const (
	lookTime   = time.Millisecond
	memoryTime = 10 * time.Millisecond
)

// A seen is what is known of a process.
type seen struct {
	pid         int // on this host
	first       time.Duration
	cpu         time.Duration // until the last look
	since       time.Duration // of it, before the watch began
	descriptors int
	least       int // of descriptors
	peak        int // of memory, in KiB
}

// A watch looks at the processes of a control group, and at PID 1 of their
// machine.
type watch struct {
	group string
	began time.Time
	stop  chan struct{}
	done  sync.WaitGroup

	mu      sync.Mutex
	members map[int]*seen
	one     *seen
	waited  time.Duration // pressure, before the watch began
	both    int           // the most memory of all members at a time, in KiB
}

// newWatch begins to look at the control group of process pid and at process
// one. Both numbers are the host's.
func newWatch(pid, one int) (*watch, error) {
	group, err := groupOf(pid)
	if err != nil {
		return nil, err
	}
	w := &watch{group: group, began: time.Now(), stop: make(chan struct{}), members: map[int]*seen{}}
	w.one, w.waited = w.newSeen(one), pressure(group)
	w.look(true)
	w.done.Go(w.run)
	return w, nil
}

// groupOf returns the folder of the control group of a process.
func groupOf(pid int) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			for line := range strings.Lines(string(own)) {
				if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
					return fields[1] + path, nil
				}
			}
		}
	}
	return "", fmt.Errorf("process %d has no control group of cgroup2", pid)
}

func (w *watch) run() {
	looks := time.NewTicker(lookTime)
	defer looks.Stop()
	memory := time.Now()
	for {
		select {
		case <-w.stop:
			return
		case now := <-looks.C:
			due := now.Sub(memory) >= memoryTime
			if due {
				memory = now
			}
			w.look(due)
		}
	}
}

// end ends the watch with a last look: there may have been no time for one since
// the latest process has come.
func (w *watch) end() {
	close(w.stop)
	w.done.Wait()
	w.look(true)
}

func (w *watch) newSeen(pid int) *seen {
	s := &seen{pid: pid, first: time.Since(w.began)}
	s.cpu, _ = CPUTime(pid)
	s.since = s.cpu
	return s
}

// look takes note of what there is. A process may end at any time, and is then
// as it was last.
func (w *watch) look(memory bool) {
	procs, _ := os.ReadFile(w.group + "/cgroup.procs") // it goes with its service
	w.mu.Lock()
	defer w.mu.Unlock()
	all := 0
	for _, field := range strings.Fields(string(procs)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			continue
		}
		s := w.members[pid]
		if s == nil {
			s = w.newSeen(pid)
			if s.first > lookTime {
				s.since = 0
			}
			s.descriptors = countDescriptors(pid)
			s.least = s.descriptors
			w.members[pid] = s
		}
		s.update(memory)
		if memory {
			all += memoryOf(pid, "VmRSS")
		}
	}
	w.both = max(w.both, all)
	w.one.update(memory)
}

func (s *seen) update(memory bool) {
	if cpu, err := CPUTime(s.pid); err == nil {
		s.cpu = max(s.cpu, cpu)
	}
	if n := countDescriptors(s.pid); n > 0 {
		s.descriptors = n
		s.least = min(s.least, n)
	}
	if memory {
		s.peak = max(s.peak, memoryOf(s.pid, "VmHWM"))
	}
}

// took returns the time that the process took since the watch began.
func (s *seen) took() time.Duration { return s.cpu - s.since }

// gained reports whether a process has n descriptors that it had not at some
// time of the watch.
func (w *watch) gained(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.members {
		if s.descriptors-s.least >= n {
			return true
		}
	}
	return false
}

// CPUTime returns how much processor time all threads of a process took, those
// that have ended as well: clock_getcpuclockid(3).
func CPUTime(pid int) (time.Duration, error) {
	const processClock = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|processClock), &t)
	return time.Duration(t.Nano()), err
}

// countDescriptors returns how many descriptors a process has, 0 if it has
// ended. Since Linux 6.2 that is the size of the folder.
func countDescriptors(pid int) int {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/fd", pid), &st); err != nil {
		return 0
	}
	return int(st.Size)
}

// memoryOf returns a line of /proc/PID/status, in KiB.
func memoryOf(pid int, name string) (kib int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			_, _ = fmt.Sscan(value, &kib)
		}
	}
	return kib
}

// waiting returns for how long, since the watch began, a process of the group
// was ready to run and had no processor. The kernel counts anew when the service
// is started anew.
func (w *watch) waiting() time.Duration {
	now := pressure(w.group)
	if now < w.waited {
		return now
	}
	return now - w.waited
}

// pressure returns the total of "some" in the group's cpu.pressure, 0 if there
// is none: PSI may be switched off.
func pressure(group string) time.Duration {
	text, _ := os.ReadFile(group + "/cpu.pressure")
	_, total, _ := strings.Cut(string(text), "total=")
	total, _, _ = strings.Cut(total, "\n")
	microseconds, _ := strconv.ParseInt(total, 10, 64)
	return time.Duration(microseconds) * time.Microsecond
}

// has reports whether a process is still there.
func (w *watch) has(pid int) bool {
	_, err := CPUTime(pid)
	return err == nil
}

// account takes what the watch saw of the processes. In place there is one.
func (r *Round) account(w *watch, old, successor int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.members[old]; s != nil {
		r.Old = Cost{s.took(), s.peak}
	}
	if s := w.members[successor]; s != nil && old != successor {
		r.New = Cost{s.took(), s.peak}
	}
	r.Systemd, r.Both = w.one.took(), w.both
}
