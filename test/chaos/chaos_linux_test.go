package chaos_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestChaos does one thing after the other to a service under load, and checks
// after each that nothing is broken but what that may break, that each
// connection has one owner, and that nothing is left over. What it does follows
// from the seed that it logs.
func TestChaos(t *testing.T) {
	for _, v := range onFlag {
		t.Run(v.String(), func(t *testing.T) {
			d := newDriver(t, v)
			steps := plan(*seedFlag, v, *stepsFlag)
			if len(steps) == 0 {
				t.Fatalf("systemd %v has none of the steps %q", v, onlyFlag)
			}
			t.Logf("seed %d, %d steps", *seedFlag, len(steps))
			for i, p := range steps {
				t.Logf("%s step %d: %s", time.Now().Format("15:04:05"), i+1, p.step.name)
				d.take(p)
				if t.Failed() {
					return
				}
			}
			d.verify(t)
			d.checkJournal()
		})
	}
}

// A planned step is one with the seed of whatever it does at random.
type planned struct {
	step step
	seed uint64
}

// plan is the steps that a seed leads to on a systemd.
func plan(seed uint64, v sdtest.Version, n int) (all []planned) {
	random := rand.New(rand.NewPCG(seed, uint64(v)))
	var possible []step
	for _, s := range steps() {
		wanted := len(onlyFlag) == 0 || slices.Contains(onlyFlag, s.name)
		if wanted && (s.on == nil || slices.Contains(s.on, v)) {
			possible = append(possible, s)
		}
	}
	for range min(n, n*len(possible)) { // none if nothing is possible
		all = append(all, planned{possible[random.IntN(len(possible))], random.Uint64()})
	}
	return all
}

// TestPlan says that the steps follow from the seed alone, and that each is
// taken some time.
func TestPlan(t *testing.T) {
	names := func(seed uint64, v sdtest.Version) (names []string) {
		for _, p := range plan(seed, v, 2000) {
			names = append(names, p.step.name)
		}
		return names
	}
	first := names(7, sdtest.V262)
	if !slices.Equal(first, names(7, sdtest.V262)) {
		t.Error("the same seed leads to other steps")
	}
	if slices.Equal(first, names(8, sdtest.V262)) || slices.Equal(first, names(7, sdtest.V252)) {
		t.Error("another seed, or systemd, leads to the same steps")
	}
	if len(onlyFlag) > 0 {
		return
	}
	for _, s := range steps() {
		if !slices.Contains(first, s.name) {
			t.Errorf("%s is never taken", s.name)
		}
	}
}

// A driver does things to a site, and remembers how it was before.
type driver struct {
	*crowd
	random     *rand.Rand
	harm       harm // of the step that is taken
	generation int  // that serves
	pid        int  // its process
	since      time.Time
	before     invariants
}

func newDriver(t *testing.T, v sdtest.Version) *driver {
	t.Helper()
	program(t, older)
	s := newSite(t, v)
	d := &driver{crowd: newCrowd(s)}
	d.must(d.restart())
	d.must(d.reload())
	d.must(d.restart())
	status := d.settled(4)
	d.machine.MustRun(command, "reload", "-dry-run") // the first reload opens a pipe that is kept
	d.generation, d.pid, d.since = status.Generation, status.PID, time.Now()
	d.before = d.counts()
	return d
}

// must fails the test, and ends it, if something went wrong.
func (d *driver) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// take takes a step, puts back what that has changed, and checks the invariants.
func (d *driver) take(p planned) {
	d.t.Helper()
	d.harm, d.random = p.step.harm, rand.New(rand.NewPCG(p.seed, 0))
	pid := d.pid
	p.step.do(d)
	if p.step.undo != nil {
		p.step.undo(d)
	}
	if p.step.next {
		d.generation++
	}
	d.check()
	d.settle()
	if d.pid != pid {
		d.since = time.Now()
	}
}

// grown waits until the process is no newborn: a crash of one is another matter
// (see ledger.Adopted.Dropped), and its connections are young.
func (d *driver) grown() {
	d.t.Helper()
	patience.Until(time.Minute, func() bool { return time.Since(d.since) > patience.Of(1500*time.Millisecond) })
}

// while passes a while that differs from step to step.
func (d *driver) while(most time.Duration) { time.Sleep(time.Duration(d.random.Int64N(int64(most)))) }

// checkJournal looks for complaints that no step explains.
func (d *driver) checkJournal() {
	d.t.Helper()
	journal := d.machine.Journal("-b")
	for _, complaint := range []string{"not our child", "reception only permitted", "panic:", "more fds", "timed out"} {
		for line := range strings.Lines(journal) {
			if strings.Contains(line, complaint) && !d.explained(line) {
				d.t.Errorf("journal: %s", line)
			}
		}
	}
}

// explained reports whether a line is about a kill: a successor may speak before
// systemd has noticed the death of the main process, and afterwards. 257 waits
// for the end of a reload whose process was killed.
func (d *driver) explained(line string) bool {
	if d.version == sdtest.V257 && strings.Contains(line, "Reload operation timed out") {
		return true
	}
	_, main, _ := strings.Cut(strings.TrimSpace(line), "reception only permitted for main PID ")
	pid, err := strconv.Atoi(main)
	return main == "which is currently not known" || err == nil && d.dead[pid]
}
