package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// other is the build that is not this one.
func other(build string) string {
	if build == frozen {
		return today
	}
	return frozen
}

// checkBuild checks which build serves, as which generation.
func checkBuild(t *testing.T, h host, build string, generation int) {
	t.Helper()
	if s := h.status(); s.Version != build || s.Generation != generation || s.State != lifecycle.Ready {
		t.Errorf("status %+v, want %s, generation %d", s, build, generation)
	}
}

// startBuild boots a systemd and starts a build of hello there. The commands of
// each build are there as well.
func startBuild(t *testing.T, v sdtest.Version, build string, changes ...change) *managed {
	t.Helper()
	h := newManaged(t, v, append([]change{often}, changes...)...)
	for _, b := range []string{frozen, today} {
		h.machine.Install(buildOf(t, "hello", b), commandOf(b))
	}
	h.install(buildOf(t, "hello", build))
	h.start()
	return h
}

// commandOf is where a machine has the commands of a build.
func commandOf(build string) string { return "/usr/local/bin/hello-" + build }

// useCommands makes the commands of a build those of the unit and of the test.
func (h *managed) useCommands(build string) {
	h.machine.MustRun("ln", "-sf", commandOf(build), control)
}

// everyBuild runs a test on each systemd, with a socket unit and without one.
// Each build is the first of both on the newest, and of one elsewhere, where
// they take turns.
func everyBuild(t *testing.T, test func(t *testing.T, h *managed, first string)) {
	t.Parallel()
	for _, v := range sdtest.Turn(t.Name()) {
		for _, first := range []string{frozen, today} {
			if first == frozen && v != sdtest.V257 || sdtest.Thorough(v) {
				t.Run(fmt.Sprintf("socket-%s-%s", first, v), func(t *testing.T) {
					t.Parallel()
					test(t, startBuild(t, v, first), first)
				})
			}
			if first == today && v != sdtest.V252 || sdtest.Thorough(v) {
				t.Run(fmt.Sprintf("alone-%s-%s", first, v), func(t *testing.T) {
					t.Parallel()
					test(t, startBuild(t, v, first, withoutSocket), first)
				})
			}
		}
	}
}

// TestBuilds has an older build and today's replace each other, and themselves,
// by reloads and by restarts. Commands of either build ask for it.
func TestBuilds(t *testing.T) {
	everyBuild(t, func(t *testing.T, h *managed, first string) {
		run := loadtest.Start(brisk(h), crowd())
		waitGeneration(t, run, 1)
		second, generation := other(first), 1
		for _, step := range []struct {
			build   string
			replace func(*testing.T, *managed)
		}{
			{second, reloadBuild}, {first, reloadBuild}, {second, reloadBuild}, {second, reloadBuild},
			{first, restartBuild}, {second, restartBuild}, {first, reloadBuild}, {second, restartBuild}, {first, restartBuild},
		} {
			h.useCommands(other(step.build)) // of the one that is, or of neither side
			if generation%2 == 0 {
				h.useCommands(step.build)
			}
			h.install(buildOf(t, "hello", step.build))
			step.replace(t, h)
			generation++
			checkBuild(t, h, step.build, generation)
			waitGeneration(t, run, generation)
		}
		verify(t, run)
		settled(t, h)
		checkManager(t, h, h.status().PID)
		h.stop()
	})
}

func reloadBuild(t *testing.T, h *managed) {
	t.Helper()
	mustReload(t, h)
}

func restartBuild(t *testing.T, h *managed) {
	t.Helper()
	mustRestart(t, h)
}

// TestBuildsCommands has the commands of each build ask a daemon of the other.
func TestBuildsCommands(t *testing.T) {
	t.Parallel()
	for _, daemon := range []string{frozen, today} {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			h := startBuild(t, sdtest.V262, daemon)
			command := commandOf(other(daemon))
			run := loadtest.Start(h.target(), map[loadtest.Class]int{loadtest.KeepAlive: 5})
			if out := h.machine.MustRun(command, "status"); !strings.Contains(out, "generation 1, ready") || !strings.Contains(out, daemon) {
				t.Errorf("status says %q", out)
			}
			if out := h.machine.MustRun(command, "reload", "-dry-run"); !strings.Contains(out, "generation 1 serves on") {
				t.Errorf("reload -dry-run says %q", out)
			}
			checkBuild(t, h, daemon, 1)
			if out := h.machine.MustRun(command, "reload"); !strings.Contains(out, "generation 2 ") {
				t.Errorf("reload says %q", out)
			}
			// A reload that fails does so with its reason.
			h.machine.WriteFile(installed, "#!/bin/sh\nexit 3\n", 0o755)
			for _, args := range [][]string{{"reload", "-dry-run"}, {"reload"}} {
				if out, err := h.machine.Run(command, args...); err == nil || !strings.Contains(out, "ended before it was ready") {
					t.Errorf("%v of a bad program: %v, %q", args, err, out)
				}
			}
			if s := parseStatus(t, h.machine.MustRun(command, "status", "-json")); s.Generation != 2 || s.LastReload == nil || s.LastReload.Result != "failed" {
				t.Errorf("status %+v, want a failed reload", s)
			}
			waitGeneration(t, run, 2)
			verify(t, run)
		})
	}
}

// TestBuildsDrain holds a request in each of two generations while both are
// replaced by builds that need not be theirs: each is known to the last, its
// request is answered where it began, and its connection moves on from there.
func TestBuildsDrain(t *testing.T) {
	t.Parallel()
	for _, chain := range [][]string{
		{frozen, today, today}, {frozen, today, frozen}, {frozen, frozen, today},
		{today, frozen, frozen}, {today, frozen, today}, {today, today, frozen},
	} {
		t.Run(strings.Join(chain, "-"), func(t *testing.T) {
			t.Parallel()
			h := startBuild(t, sdtest.V262, chain[0])
			run := loadtest.Start(h.target(), map[loadtest.Class]int{loadtest.KeepAlive: 10, loadtest.Pipelined: 3, loadtest.Upload: 3})
			idle := call(t, h.target(), 5)
			var held []*callers
			for i, build := range chain[1:] {
				c := call(t, h.target(), 2)
				c.write("POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 10\r\n\r\nhalf ")
				held = append(held, c)
				h.taken(c) // the requests in flight are those of the load as well
				h.install(buildOf(t, "hello", build))
				mustReload(t, h)
				checkBuild(t, h, build, i+2)
			}
			for _, build := range []string{frozen, today} {
				h.useCommands(build)
				awaitHeld(h)
			}
			idle.expect(3)
			for i, c := range held {
				c.write("whole")
				if low, high := c.receive(); low != i+1 || high != i+1 {
					t.Errorf("generations %d to %d answered what generation %d had begun", low, high, i+1)
				}
			}
			settled(t, h)
			for _, c := range held {
				c.expect(3)
			}
			verify(t, run)
			checkJournal(t, h)
		})
	}
}

// awaitHeld waits until two generations tell that they drain, with the requests
// that they hold.
func awaitHeld(h *managed) {
	h.t.Helper()
	h.wait("generations 2 and 1 to drain, with two requests each", func() bool {
		var generations []int
		for _, p := range h.status().Predecessors {
			if p.Error == "" && p.Requests >= 2 && p.Connections.Active >= 2 {
				generations = append(generations, p.Generation)
			}
		}
		return slices.Equal(generations, []int{2, 1})
	})
}

// TestBuildsInPlace has the builds replace each other in one process.
func TestBuildsInPlace(t *testing.T) {
	t.Parallel()
	for name, boot := range map[string]func(*testing.T) *terminal{"terminal": newForeground, "container": newContainer} {
		for _, first := range []string{frozen, today} {
			t.Run(name+"-"+first, func(t *testing.T) {
				t.Parallel()
				h := boot(t)
				build := first
				h.install(buildOf(t, "hello", build))
				h.start()
				pid := h.status().PID
				run := loadtest.Start(brisk(h), crowd())
				waitGeneration(t, run, 1)
				for generation := 2; generation <= 7; generation++ {
					if generation != 4 { // to itself as well
						build = other(build)
					}
					h.install(buildOf(t, "hello", build))
					if generation%2 == 0 {
						h.command("reload")
					} else {
						mustReload(t, h)
					}
					checkBuild(t, h, build, generation)
					waitGeneration(t, run, generation)
				}
				verify(t, run)
				if s := settled(t, h); s.PID != pid {
					t.Errorf("process %d serves, want %d", s.PID, pid)
				}
				h.interrupt()
			})
		}
	}
}

// TestBuildsBeside has them do so side by side, without a service manager.
func TestBuildsBeside(t *testing.T) {
	t.Parallel()
	for _, first := range []string{frozen, today} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			h := newBeside(t)
			build := first
			h.install(buildOf(t, "daemon", build))
			h.start()
			run := loadtest.Start(h.target(), crowd())
			waitGeneration(t, run, 1)
			for generation := 2; generation <= 7; generation++ {
				if generation != 4 {
					build = other(build)
				}
				h.install(buildOf(t, "daemon", build))
				mustReload(t, h)
				checkBuild(t, h, build, generation)
				waitGeneration(t, run, generation)
			}
			verify(t, run)
			settled(t, h)
			h.stop()
		})
	}
}
