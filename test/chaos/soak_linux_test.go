package chaos_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestSoak reloads, restarts and kills a service under load as often as -soak
// says, in turn. At the end the service and systemd hold what they held before:
// descriptors, threads, processes, memory, and no more warnings were logged than
// the kills explain.
func TestSoak(t *testing.T) {
	for _, v := range onFlag {
		t.Run(v.String(), func(t *testing.T) {
			d := newDriver(t, v)
			before := d.weigh()
			share := func(n float64) int { return max(int(n**roundFlag), 1) }
			todo := []struct {
				step step
				n    int
			}{
				{step{name: "reload", do: (*driver).doReload, next: true}, share(1000)},
				{step{name: "restart", do: (*driver).doRestart, next: true}, share(1000)},
				{step{name: "kill", do: (*driver).doKill, harm: underWay, next: true}, share(300)},
			}
			// Shuffled, as by the seed, so that each follows each.
			var order []step
			for _, part := range todo {
				for range part.n {
					order = append(order, part.step)
				}
			}
			random := rand.New(rand.NewPCG(*seedFlag, uint64(v)))
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			t.Logf("seed %d: %d reloads, %d restarts, %d kills", *seedFlag, todo[0].n, todo[1].n, todo[2].n)
			for i, s := range order {
				d.take(planned{s, random.Uint64()})
				if t.Failed() {
					t.Logf("in step %d, %s", i+1, s.name)
					return
				}
				if (i+1)%100 == 0 {
					t.Logf("%s %d steps: %s", time.Now().Format("15:04:05"), i+1, d.weigh())
				}
			}
			d.doRestart() // a process that has served as long as the first
			d.generation++
			d.check()
			d.since = time.Now()
			d.compare(before, d.weigh())
			d.verify(t)
			d.checkJournal()
		})
	}
}

// A weight is what a service that has just started, and systemd, hold.
type weight struct {
	Descriptors, Manager int // see invariants
	Threads, Processes   int
	ServiceKB, SystemdKB int // of memory that is resident
	MachineProcesses     int
}

func (w weight) String() string {
	text, _ := json.Marshal(w)
	return string(text)
}

// weigh waits a little: what was under way may have needed threads.
func (d *driver) weigh() weight {
	d.t.Helper()
	d.grown()
	counts := d.counts()
	entries, err := os.ReadDir(d.path("/proc"))
	if err != nil {
		d.t.Fatal(err)
	}
	all := 0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			all++
		}
	}
	return weight{
		Descriptors: counts.descriptors, Manager: counts.manager, Threads: d.machine.Threads(d.pid), Processes: len(d.processes()),
		ServiceKB: d.resident(d.pid), SystemdKB: d.resident(1), MachineProcesses: all,
	}
}

// resident is the memory of a process, in kilobytes.
func (d *driver) resident(pid int) int {
	d.t.Helper()
	text, err := os.ReadFile(d.proc(pid, "status"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest + " 0")[0])
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// compare compares what was held. Go's runtime may have a thread more or less,
// and takes memory as it likes: a leak of a thousand rounds is more than half
// again as much. systemd itself keeps a record of what it did.
func (d *driver) compare(before, after weight) {
	d.t.Helper()
	d.t.Logf("before %s", before)
	d.t.Logf("after  %s", after)
	const threads = 4
	if !patience.Until(30*time.Second, func() bool {
		after.Processes, after.MachineProcesses = len(d.processes()), d.weigh().MachineProcesses
		return after.Processes == before.Processes && after.MachineProcesses <= before.MachineProcesses
	}) {
		d.t.Errorf("%d processes, and %d in the machine, were %d and %d",
			after.Processes, after.MachineProcesses, before.Processes, before.MachineProcesses)
	}
	switch {
	case after.Descriptors > before.Descriptors || after.Manager > before.Manager:
		d.t.Error("more descriptors are open than before")
	case after.Threads > before.Threads+threads:
		d.t.Error("there are more threads than before")
	case after.ServiceKB > before.ServiceKB*3/2 || after.SystemdKB > before.SystemdKB*3/2:
		d.t.Error("there is more memory in use than before")
	}
}
