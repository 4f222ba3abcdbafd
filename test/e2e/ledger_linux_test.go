package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/kills"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

// crashing has the service keep its log over a crash, and be started again each
// time.
func crashing(t *testing.T, v sdtest.Version, changes ...change) *managed {
	t.Helper()
	h := newManaged(t, v, append([]change{often, setting("Service", "RuntimeDirectoryPreserve", "yes")}, changes...)...)
	h.install(program("crasher"))
	h.start()
	return h
}

// keeps waits until so many connections would outlive a crash.
func (h *managed) keeps(n int) lifecycle.Status {
	h.t.Helper()
	var s lifecycle.Status
	h.wait(fmt.Sprintf("%d connections to be kept", n), func() bool {
		s = h.status()
		return s.Ledger != nil && s.Ledger.Kept >= n
	})
	return s
}

// tookOver waits until the process has taken over what outlived the one before,
// which is something. Until then it serves, and has not counted.
func (h *managed) tookOver() lifecycle.Status {
	h.t.Helper()
	var s lifecycle.Status
	h.wait("connections to be taken over", func() bool {
		s = h.status()
		return s.Ledger != nil && s.Ledger.Adopted > 0
	})
	return s
}

// awaitGeneration waits until that generation is ready, and returns its pid.
func (h *managed) awaitGeneration(generation int) int {
	h.t.Helper()
	var s lifecycle.Status
	h.wait(fmt.Sprintf("generation %d", generation), func() bool {
		out, err := h.machine.Run(control, "status", "-json")
		if err != nil {
			return false
		}
		s = parseStatus(h.t, out)
		return s.Generation == generation && s.State == lifecycle.Ready
	})
	return s.PID
}

// atRest waits until all connections of a process are at rest after the requests
// that it has answered.
func (h *managed) atRest(pid int) {
	h.t.Helper()
	atRest(h.t, h, pid)
}

// lastStates returns the last state of each connection, by the address of its
// client, from the server's own log.
func (h *managed) lastStates() map[string]string {
	h.t.Helper()
	text, err := os.ReadFile(h.machine.Root() + "/run/hello/log")
	if err != nil {
		h.t.Fatal(err)
	}
	return kills.States(string(text))
}

// TestKillKeepsIdle kills the process under load, at any moment, again and
// again. Only requests that were under way are broken.
func TestKillKeepsIdle(t *testing.T) {
	testKillKeepsIdle(t, sdtest.Turn(t.Name()))
}

// TestKillAnswersLost does so where those that are broken are answered.
func TestKillAnswersLost(t *testing.T) {
	testKillKeepsIdle(t, []sdtest.Version{sdtest.V262}, answersLost)
}

func testKillKeepsIdle(t *testing.T, versions []sdtest.Version, changes ...change) {
	t.Parallel()
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := crashing(t, v, changes...)
			idle, waiting := call(t, h.target(), 250), connect(t, h.target(), 50)
			broken, gaps := 0, 0
			const kills = 50
			times := sdtest.Rounds(v, kills)
			for i := range times {
				b, g := killOnce(t, h, i+1)
				broken, gaps = broken+b, gaps+g
				if t.Failed() {
					return
				}
			}
			idle.expect(times + 1)
			waiting.expect(times + 1)
			t.Logf("%d kills broke %d requests, all under way; of %d only the kernel knew", times, broken, gaps)
			h.stop()
			h.wait("systemd to have forgotten everything", func() bool { return h.stored() == 0 })
			idle.closed()
			waiting.closed()
		})
	}
}

// killOnce kills the process of a generation under a load of its own. It
// returns what checkKilled does.
func killOnce(t *testing.T, h *managed, generation int) (broken, gaps int) {
	t.Helper()
	loads := loadToKill(h, loadtest.ConnectThenWait)
	began := time.Now()
	pid := h.awaitGeneration(generation)
	h.keeps(300 + keepers) // and of those that connect and wait, the others: one may be too young
	enough := 100 + rand.IntN(100)
	poll(t, "another moment to come each time", func() bool {
		return loads[0].Snapshot().Requests > enough && time.Since(began) > 1200*time.Millisecond // see ledger.Adopted.Dropped
	})
	h.kill(pid, syscall.SIGKILL)
	killed := time.Since(began)
	for _, run := range loads {
		waitGeneration(t, run, generation+1)
	}
	return checkKilled(t, h, loads, killed)
}

// loadToKill starts the load of one kill: keepers that keep their connections,
// and clients of other classes.
func loadToKill(h *managed, others ...loadtest.Class) []*loadtest.Run {
	const clients = keepers / 4 // a report keeps as many errors of a class
	slow := h.target()
	slow.ThinkTime = 100 * time.Millisecond
	classes := map[loadtest.Class]int{loadtest.KeepAlive: clients, loadtest.Idle: clients, loadtest.Slow: clients}
	for _, class := range others {
		classes[class] = clients
	}
	return []*loadtest.Run{
		loadtest.Start(brisk(h), classes),
		loadtest.Start(slow, map[loadtest.Class]int{loadtest.KeepAlive: clients}),
	}
}

const keepers = 20

// checkKilled ends the load of a kill, which came so long after the load began,
// and checks that all that is broken was under way. It returns how many
// requests are, and of how many of them only the kernel knows that they were
// read: the server was killed before it could say so, or between its response
// and its rest.
func checkKilled(t *testing.T, h *managed, loads []*loadtest.Run, killed time.Duration) (broken, gaps int) {
	t.Helper()
	var classes []loadtest.ClassReport
	for _, run := range loads {
		classes = append(classes, run.Stop().ByClass...)
	}
	kill := kills.Kill{States: h.lastStates(), Cut: h.cut()}
	for _, class := range classes {
		broken += class.Broken
		gaps += checkUnderWay(t, class, kill, killed)
	}
	return broken, gaps
}

// cut returns which clients' connections the process has closed since a request
// had begun, and how much of that was read, from its log. The log may be late.
func (h *managed) cut() map[string]string {
	h.t.Helper()
	s := h.tookOver()
	var cut map[string]string
	h.wait("the log to have every connection that was cut", func() bool {
		n := 0
		cut, n = kills.Cut(h.machine.Journal("-o", "cat", "_PID="+itoa(s.PID)))
		return n == s.Ledger.Cut
	})
	return cut
}

// checkUnderWay checks that the broken requests of a class are of connections
// that were serving one, or that the server had accepted and had not named yet.
func checkUnderWay(t *testing.T, class loadtest.ClassReport, kill kills.Kill, killed time.Duration) (gaps int) {
	t.Helper()
	known, newest := 0, killed-patience.Of(time.Second)
	for _, err := range class.FirstErrors {
		var e *loadtest.BrokenError
		if !errors.As(err, &e) || e.Conn == nil {
			t.Errorf("no connection: %v", err)
			continue
		}
		known += e.Unanswered
		if bytes.Count(e.Conn.Read.Begin, []byte("HTTP/1.1 ")) > 1 {
			t.Errorf("a second response: %v", err)
		}
		state, named := kill.States[e.Conn.Local.String()]
		switch verdict := kill.Judge(e); {
		case verdict == kills.UnderWay:
		case verdict == kills.Read:
			gaps++
			t.Logf("%s: %v", verdict, err)
		case verdict == kills.Young, !named && e.After-e.Conn.Age > newest:
			t.Logf("%s: %v", kills.Young, err)
		default:
			t.Errorf("the connection was %q when the process was killed: %v", state, err)
		}
	}
	if known != class.Broken {
		t.Errorf("%d requests of %s are broken, of which %d are accounted for", class.Broken, class.Class, known)
	}
	return gaps
}

// TestPoison sends requests that kill the process. Only the connection by which
// one came is lost.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := crashing(t, v)
			idle := call(t, h.target(), 50)
			for i, poison := range []string{"kill", "panic", "exit", "fault", "half"} {
				began := time.Now()
				poisoner := call(t, h.target(), 1)
				pid := h.keeps(51).PID
				poll(t, "the process to be no newborn", func() bool { return time.Since(began) > 1200*time.Millisecond })
				h.atRest(pid)
				poisoner.write("GET /poison/" + poison + " HTTP/1.1\r\nHost: hello\r\n\r\n")
				h.awaitGeneration(i + 2)
				idle.expect(i + 2)
				if poison != "half" {
					poisoner.closed()
				}
				h.keeps(50)
				s := h.tookOver()
				if s.Ledger.Adopted != 50 || s.Ledger.Cut != 1 {
					t.Errorf("%s: %v", poison, s.Ledger)
				}
			}
		})
	}
}

// TestKillWhileAdopting kills each process as soon as it has begun to take over
// the connections of the one before.
func TestKillWhileAdopting(t *testing.T) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			h := crashing(t, v)
			idle := h.connect(2000)
			idle.ask()
			h.keeps(2000)
			const kills = 4
			pid := h.status().PID
			h.atRest(pid)
			for i := range kills {
				h.kill(pid, syscall.SIGKILL)
				h.wait("the next process", func() bool {
					p := h.processes()
					if len(p) != 1 || p[0].pid == pid || h.descriptors(p[0].pid) <= 20+300*i {
						return false
					}
					pid = p[0].pid
					return true
				})
			}
			h.wait("the last process to be ready", func() bool { return h.machine.Property("hello.service", "SubState") == "running" })
			idle.expect(h.keeps(2000).Generation) // one that was killed early has not said which it was
		})
	}
}

// crashed kills the process and returns the status of the next one.
func (h *managed) crashed() lifecycle.Status {
	h.t.Helper()
	s := h.status()
	h.atRest(s.PID)
	h.kill(s.PID, syscall.SIGKILL)
	h.awaitGeneration(s.Generation + 1)
	return h.status()
}

// TestCrashWithoutLedger loses every connection, by the wish of the program or
// for want of room in the store, and says why.
func TestCrashWithoutLedger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version sdtest.Version
		change  change
		reason  string
	}{
		"option": {sdtest.V262, setting("Service", "Environment", "HEIRLOOM_TEST_WITHOUT_LEDGER=true"), "WithoutLedger was called"},
		"room":   {sdtest.V262, setting("Service", "FileDescriptorStoreMax", "4"), "FileDescriptorStoreMax=4 has no room for 3 more"},
		// Which does not say beforehand how much room there is, and takes a part.
		"part": {sdtest.V252, setting("Service", "FileDescriptorStoreMax", "3"), "FileDescriptorStoreMax=3 has no room for all that is to be stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := crashing(t, c.version, c.change)
			idle := call(t, h.target(), 10)
			off := func() bool { l := h.status().Ledger; return l != nil && l.Off == c.reason }
			h.wait("the reason: "+c.reason, off)
			h.wait("the handover socket to be stored, and no more", func() bool { return h.stored() == 1 })
			s := h.crashed()
			idle.closed()
			if s.Ledger == nil || s.Ledger.Adopted != 0 {
				t.Errorf("%+v", s.Ledger)
			}
			h.wait("the reason: "+c.reason, off)
		})
	}
}

// TestLedgerOff has a service say that the connections it has cannot be kept.
func TestLedgerOff(t *testing.T) {
	t.Parallel()
	s := startSecure(t, today).status()
	if want := "the service has no plain HTTP/1.1 over TCP whose connections move"; s.Ledger == nil || s.Ledger.Off != want {
		t.Errorf("%+v, want off: %s", s.Ledger, want)
	}
}

// TestCrashFewDescriptors has a user without privileges and not enough
// descriptors for all. Some connections are kept, the others are lost, and the
// service goes on.
func TestCrashFewDescriptors(t *testing.T) {
	const limit = 400
	for _, v := range sdtest.Turn(t.Name()) { // one by one: the limit is that of a user, in whatever machine
		t.Run(v.String(), func(t *testing.T) {
			h := crashing(t, v, withUser, setting("Service", "LimitNOFILE", fmt.Sprint(limit)))
			const all, room = limit - 50, limit / 4 * 3
			idle := h.connect(all)
			idle.ask()
			h.wait("the others to be refused", func() bool {
				s := h.status()
				return s.Ledger.Kept == room && s.Ledger.Refused == all-room
			})
			generation := h.crashed().Generation
			h.keeps(room)
			s := h.tookOver()
			if s.Ledger.Adopted != room || s.Ledger.Lost+s.Ledger.Cut > 0 {
				t.Errorf("%+v", s.Ledger)
			}
			h.machine.WaitActive("hello.service") // systemd reloads no service that is not ready to it
			mustReload(t, h)
			h.awaitGeneration(generation + 1)
			h.keeps(room)
			mustRestart(t, h)
			h.keeps(room)
			if log := h.machine.Journal("-u", "hello.service"); strings.Count(log, "some connections will not outlive a crash") == 0 {
				t.Error("the journal does not say that some cannot be kept")
			}
		})
	}
}

// withUser gives the service a user of its own.
func withUser(s *units.Service) { s.User = "hello" }
