package e2e_test

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// killStepsSeed is the environment variable that repeats a TestKillSteps: it
// logs its seed.
const killStepsSeed = "HEIRLOOM_KILL_STEPS_SEED"

// TestKillSteps kills, reloads and restarts in random order, and kills in the
// middle of reloads and restarts. Clients at rest go on through all of it, and
// systemd holds one ledger at a time.
func TestKillSteps(t *testing.T) {
	t.Parallel()
	seed := seedOf(t, killStepsSeed)
	for _, v := range sdtest.Turn(t.Name()) {
		steps := 4
		if v == sdtest.V262 {
			steps = 20
		}
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := crashing(t, v)
			all := []killStep{
				{"reload", (*killSteps).reload},
				{"restart", (*killSteps).restart},
				{"kill", (*killSteps).killAtRest},
				{"kill under load", (*killSteps).killUnderLoad},
				{"kill while the predecessor drains", (*killSteps).killReplaced},
				{"kill in a drain", (*killSteps).killDraining},
				{"kill while the queue is compacted", (*killSteps).killCompacting},
			}
			if v != sdtest.V257 { // which takes a quarter of a minute to notice
				all = append(all, killStep{"kill while the successor starts", (*killSteps).killStarting})
			}
			runKillSteps(t, h, rand.New(rand.NewPCG(seed, uint64(v))), steps, all)
		})
	}
	t.Run("in place", func(t *testing.T) {
		t.Parallel()
		h := crashing(t, sdtest.V262, setting("Service", "Environment", "HEIRLOOM_TEST_IN_PLACE=true"))
		runKillSteps(t, h, rand.New(rand.NewPCG(seed, 0)), 6, []killStep{
			{"reload", (*killSteps).reload},
			{"restart", (*killSteps).restart},
			{"kill", (*killSteps).killAtRest},
			{"kill under load", (*killSteps).killUnderLoad},
			{"kill in a drain", (*killSteps).killDraining},
		})
	})
}

// A killStep is one that TestKillSteps may take.
type killStep struct {
	name string
	do   func(*killSteps)
}

// KillSteps are those of one service.
type killSteps struct {
	*managed
	random     *rand.Rand
	idle       *callers
	generation int // that serves
}

// runKillSteps takes n steps, or ten times as many if HEIRLOOM_TEST_ALL has the
// value "true".
func runKillSteps(t *testing.T, h *managed, random *rand.Rand, n int, steps []killStep) {
	t.Helper()
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		n *= 10
	}
	k := &killSteps{managed: h, random: random, idle: call(t, h.target(), 40), generation: 1}
	kills := 0
	for i := range n {
		step := steps[random.IntN(len(steps))]
		const graceful, most = 2, 3 // the first steps kill nobody; see ledger.Adopted.Dropped
		if kills == most {
			step = steps[random.IntN(graceful)]
		}
		if kills++; step.name == "reload" || step.name == "restart" {
			kills = 0
		}
		t.Logf("step %d: %s", i+1, step.name)
		k.rest()
		step.do(k)
		k.next()
		if t.Failed() {
			return
		}
	}
	h.stop()
	k.idle.closed()
}

// rest waits until all connections would outlive a kill.
func (k *killSteps) rest() {
	k.t.Helper()
	n := len(k.idle.conns)
	k.wait("the clients to be at rest", func() bool {
		s := k.status()
		return s.Ledger.Kept >= n && s.Connections.Idle >= n && s.Connections.Active == 0
	})
	k.wait("the ledger and the handover socket to be stored", func() bool { return k.stored() == 4 })
	k.atRest(k.status().PID)
}

// next waits for the generation after a step, and has it answer everybody.
func (k *killSteps) next() {
	k.t.Helper()
	var s lifecycle.Status
	k.wait("the next generation to serve alone", func() bool {
		out, err := k.machine.Run(control, "status", "-json")
		if err != nil {
			return false
		}
		s = parseStatus(k.t, out)
		return s.State == lifecycle.Ready && s.Generation > k.generation && len(s.Predecessors) == 0 && len(k.processes()) == 1
	})
	k.machine.WaitActive("hello.service") // systemd reloads no service that is not ready to it
	k.generation = s.Generation
	k.idle.expect(k.generation)
}

func (k *killSteps) reload() {
	k.t.Helper()
	if err := k.managed.reload(); err != nil {
		k.t.Error(err)
	}
}

func (k *killSteps) restart() {
	k.t.Helper()
	if err := k.managed.restart(); err != nil {
		k.t.Error(err)
	}
}

func (k *killSteps) killAtRest() {
	k.t.Helper()
	k.kill(k.status().PID, syscall.SIGKILL)
}

// killUnderLoad breaks what is under way, of the clients of its load.
func (k *killSteps) killUnderLoad() {
	k.t.Helper()
	loads := loadToKill(k.managed)
	began := time.Now()
	pid, enough := k.keeps(len(k.idle.conns)+keepers).PID, 30+k.random.IntN(100)
	poll(k.t, "another moment to come each time", func() bool { return loads[0].Snapshot().Requests > enough })
	k.kill(pid, syscall.SIGKILL)
	killed := time.Since(began)
	for _, run := range loads {
		waitGeneration(k.t, run, k.generation+1)
	}
	checkKilled(k.t, k.managed, loads, killed)
}

// hold has the crasher wait for a file of that name to go, which let does.
func (k *killSteps) hold(name string) (let func()) {
	k.t.Helper()
	path := "/run/hello/" + name
	k.machine.MustRun("rm", "-f", path+".held")
	k.machine.WriteFile(path, "", 0o644)
	return func() { k.machine.MustRun("rm", path) }
}

// killCompacting kills the process when so many connections have ended that what
// is left of the ledger's queue is sent again: perhaps before that, in it, or
// after it.
func (k *killSteps) killCompacting() {
	k.t.Helper()
	const groups, each = 8, 50 // more than may be dead; each group is a message of its own at least
	n := len(k.idle.conns)
	var some []*callers
	for range groups {
		c := call(k.t, k.target(), each)
		n += each
		k.keeps(n)
		some = append(some, c)
	}
	pid := k.status().PID
	k.atRest(pid)
	for _, c := range some {
		c.hangUp()
	}
	time.Sleep(time.Duration(k.random.IntN(10_000)) * time.Microsecond)
	k.kill(pid, syscall.SIGKILL)
}

// killStarting kills the process when it has started a successor, which is not
// ready yet.
func (k *killSteps) killStarting() {
	k.t.Helper()
	let := k.hold("hold-start")
	pid := k.status().PID
	reload := k.machine.Start("systemctl", "reload", "hello.service")
	k.wait("the successor", func() bool {
		_, err := os.Stat(k.machine.Root() + "/run/hello/hold-start.held")
		return err == nil
	})
	k.kill(pid, syscall.SIGKILL)
	let()
	_, _ = reload.Wait()
}

// ask sends a request that is held, and waits until it is under way.
func (k *killSteps) ask() *callers {
	k.t.Helper()
	c := connect(k.t, k.target(), 1)
	c.write("GET /held HTTP/1.1\r\nHost: hello\r\n\r\n")
	k.wait("the request to be under way", func() bool { return k.status().Requests == 1 })
	return c
}

// killReplaced kills the successor when it has everybody, but for a request that
// its predecessor answers: that is not lost.
func (k *killSteps) killReplaced() {
	k.t.Helper()
	let := k.hold("hold-request")
	asked := k.ask()
	k.reload()
	pid := k.keeps(len(k.idle.conns)).PID
	k.kill(pid, syscall.SIGKILL)
	let()
	if low, high := asked.receive(); low != k.generation || high != k.generation {
		k.t.Errorf("generation %d has answered, want %d", low, k.generation)
	}
	asked.hangUp()
	k.generation++
}

// killDraining kills the process in a restart, when it waits for a last request.
// That is lost.
func (k *killSteps) killDraining() {
	k.t.Helper()
	let := k.hold("hold-request")
	asked := k.ask()
	pid := k.status().PID
	restart := k.machine.Start("systemctl", "restart", "hello.service")
	k.wait("all but one of the connections to leave the process", func() bool { return k.connections(pid) == 1 })
	k.kill(pid, syscall.SIGKILL)
	let()
	if out, err := restart.Wait(); err != nil {
		k.t.Errorf("restart: %v: %s", err, out)
	}
	asked.closed()
}
