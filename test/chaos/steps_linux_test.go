package chaos_test

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// A step is one thing that the driver may do.
type step struct {
	name string
	do   func(*driver)
	undo func(*driver) // puts back what do has changed; nil if that is nothing
	harm harm
	next bool             // whether a later generation serves then, in any case
	on   []sdtest.Version // nil for all
}

// steps are all that there are.
func steps() []step {
	return []step{
		{name: "reload", do: (*driver).doReload, next: true},
		{name: "restart", do: (*driver).doRestart, next: true},
		{name: "reload in place", do: (*driver).doInPlace, undo: (*driver).undoInPlace, next: true},
		{name: "storm of reloads", do: (*driver).doStorm, next: true},
		{name: "restarts at once", do: (*driver).doRestarts, next: true},
		{name: "reload and restart", do: (*driver).doBoth, next: true},

		{name: "kill", do: (*driver).doKill, harm: underWay, next: true},
		{name: "abort", do: (*driver).doAbort, harm: underWay, next: true},
		{name: "kill the successor", do: (*driver).doKillSuccessor, undo: (*driver).undoHold},
		{name: "kill while the successor starts", do: (*driver).doKillStarting, undo: (*driver).undoHold, harm: orphans, next: true,
			on: []sdtest.Version{sdtest.V252, sdtest.V262}}, // 257 takes a quarter of a minute to notice
		{name: "kill in a reload", do: (*driver).doKillReload, harm: everything},
		{name: "kill in a restart", do: (*driver).doKillRestart, harm: everything, next: true},

		{name: "kill the predecessor", do: (*driver).doKillPredecessor, harm: remaining, next: true},
		{name: "kill a predecessor that hangs", do: (*driver).doKillPaused, undo: (*driver).undoHold, harm: orphans, next: true,
			on: []sdtest.Version{sdtest.V252, sdtest.V262}},
		{name: "kill in place", do: (*driver).doKillInPlace, undo: (*driver).undoKillInPlace, harm: everything, next: true},

		{name: "stop and continue", do: (*driver).doPause},
		{name: "stop the successor and continue", do: (*driver).doPauseSuccessor, undo: (*driver).undoHold, next: true},
		{name: "stop the predecessor and continue", do: (*driver).doPausePredecessor, undo: (*driver).undoHold, next: true},
		{name: "freeze", do: (*driver).doFreeze, undo: (*driver).undoFreeze},
		{name: "freeze in a reload", do: (*driver).doFreezeReload, undo: (*driver).undoFreeze},
		{name: "signals", do: (*driver).doSignals},

		{name: "daemon-reload", do: (*driver).doDaemonReload, next: true},
		{name: "daemon-reexec", do: (*driver).doDaemonReexec, next: true},
		{name: "journald restarts", do: (*driver).doJournalRestart, next: true},
		{name: "journald is killed", do: (*driver).doJournalKill, next: true},
		{name: "journald hangs", do: (*driver).doJournalHangs, undo: (*driver).undoJournalHangs, next: true},
		{name: "D-Bus is gone", do: (*driver).doBusGone, undo: (*driver).undoBusGone, next: true},
		{name: "D-Bus hangs", do: (*driver).doBusHangs, undo: (*driver).undoBusHangs, next: true},

		{name: "varlink is gone", do: (*driver).doVarlinkGone, undo: (*driver).undoVarlink, next: true},
		{name: "varlink hangs", do: (*driver).doVarlinkHangs, undo: (*driver).undoVarlink, next: true},

		{name: "no tasks", do: (*driver).doNoTasks, undo: (*driver).undoNoTasks, harm: underWay},
		{name: "no descriptors", do: (*driver).doNoDescriptors, undo: (*driver).undoNoDescriptors},
		{name: "full disk", do: (*driver).doFullDisk, undo: (*driver).undoFullDisk},
		{name: "no inodes", do: (*driver).doNoInodes, undo: (*driver).undoFullDisk},
		{name: "a bad program", do: (*driver).doBad, undo: (*driver).undoProgram, next: true},
		{name: "restart into a bad program", do: (*driver).doBadRestart, undo: (*driver).undoProgram, next: true},
		{name: "another program in a reload", do: (*driver).doSwap, undo: (*driver).undoProgram, next: true},
		{name: "older build", do: (*driver).doOlder, undo: (*driver).undoOlder, next: true},
	}
}

func (d *driver) doReload()  { d.t.Helper(); d.must(d.reload()) }
func (d *driver) doRestart() { d.t.Helper(); d.must(d.restart()) }

// replace does either.
func (d *driver) replace() {
	d.t.Helper()
	if d.random.IntN(2) == 0 {
		d.doReload()
	} else {
		d.doRestart()
	}
}

// doInPlace has a process be replaced in place, which keeps its number.
func (d *driver) doInPlace() {
	d.t.Helper()
	d.machine.WriteFile(runtimeDir+"/in-place", "", 0o644)
	d.doReload() // beside, to one that is replaced in place
	pid := d.settled(d.generation + 1).PID
	for range 2 {
		d.doReload()
	}
	if s := d.settled(d.generation + 3); s.PID != pid {
		d.t.Errorf("process %d serves after a reload in place of %d", s.PID, pid)
	}
}

func (d *driver) undoInPlace() {
	d.t.Helper()
	d.machine.MustRun("rm", runtimeDir+"/in-place")
	d.doReload()
	d.settled(d.generation + 4)
}

// doStorm asks for reloads faster than they can be done.
func (d *driver) doStorm() {
	d.t.Helper()
	for range 2 + d.random.IntN(6) {
		d.machine.MustRun("systemctl", "kill", "--kill-whom=main", "-s", "HUP", unit)
		d.while(40 * time.Millisecond)
	}
	d.doReload()
}

func (d *driver) doRestarts() {
	d.t.Helper()
	for range 3 {
		d.systemctl("--no-block", "restart", unit)
		d.while(100 * time.Millisecond)
	}
	d.doRestart()
}

// doBoth restarts in a reload.
func (d *driver) doBoth() {
	d.t.Helper()
	d.systemctl("--no-block", "reload", unit)
	d.while(60 * time.Millisecond)
	d.doRestart()
}

// doDaemonReload has systemd read its units while a process is replaced.
func (d *driver) doDaemonReload() { d.t.Helper(); d.doManager("daemon-reload") }

// doDaemonReexec does the same. Each time 262 leaves four sockets open in
// itself, in a machine without a service as well.
func (d *driver) doDaemonReexec() {
	d.t.Helper()
	d.doManager("daemon-reexec")
	if d.version == sdtest.V262 {
		d.before.manager += 2 * 4
	}
}

func (d *driver) doManager(verb string) {
	d.t.Helper()
	if d.random.IntN(2) == 0 {
		d.systemctl("--no-block", "reload", unit)
	}
	d.while(50 * time.Millisecond)
	d.systemctl(verb)
	d.doRestart()
	d.systemctl(verb)
}

// hold has the next process wait until let.
func (d *driver) hold() {
	d.t.Helper()
	d.machine.WriteFile(runtimeDir+"/hold-start", "", 0o644)
}

func (d *driver) undoHold() {
	d.t.Helper()
	d.machine.MustRun("rm", "-f", runtimeDir+"/hold-start")
}

// starting begins a reload, and returns the successor when it has started, and
// what waits for the end of the reload.
func (d *driver) starting() (successor int, wait func() error) {
	d.t.Helper()
	d.hold()
	reload := d.machine.Start("systemctl", "reload", unit)
	d.machine.Wait("the successor", func() bool {
		successor = d.other()
		if successor == 0 {
			return false
		}
		_, err := os.Stat(d.log(successor))
		return err == nil
	})
	return successor, func() error {
		out, err := reload.Wait()
		if err != nil {
			return fmt.Errorf("reload: %w: %s", err, out)
		}
		return nil
	}
}

// other is a process of the service that is not the main one, or 0. It is not
// ExecReload='s either, which keeps no log.
func (d *driver) other() int {
	d.t.Helper()
	for _, pid := range d.processes() {
		if target, err := os.Readlink(d.proc(pid, "exe")); err == nil && pid != d.pid && target != command {
			return pid
		}
	}
	return 0
}

// pause stops a process for a while, which begins with what is done meanwhile.
func (d *driver) pause(pid int, meanwhile func()) {
	d.t.Helper()
	d.signal(pid, syscall.SIGSTOP)
	meanwhile()
	d.while(300 * time.Millisecond)
	d.signal(pid, syscall.SIGCONT)
}

func (d *driver) doPause() {
	d.t.Helper()
	d.pause(d.pid, func() {})
}

func (d *driver) doPauseSuccessor() {
	d.t.Helper()
	successor, wait := d.starting()
	d.pause(successor, d.undoHold)
	d.must(wait())
}

func (d *driver) doPausePredecessor() {
	d.t.Helper()
	predecessor := d.pid
	_, wait := d.starting()
	d.pause(predecessor, d.undoHold)
	d.must(wait())
}

func (d *driver) doFreeze() {
	d.t.Helper()
	d.systemctl("freeze", unit)
	d.while(300 * time.Millisecond)
}

func (d *driver) undoFreeze() {
	d.t.Helper()
	if out, err := d.machine.Run("systemctl", "thaw", unit); err != nil && d.machine.Property(unit, "FreezerState") != "running" {
		d.t.Errorf("thaw: %s", out)
	}
}

// doFreezeReload freezes all generations, at any time of a reload. Before 257
// systemd may refuse that in a reload.
func (d *driver) doFreezeReload() {
	d.t.Helper()
	d.systemctl("--no-block", "reload", unit)
	d.while(60 * time.Millisecond)
	_, _ = d.machine.Run("systemctl", "freeze", unit)
	d.while(200 * time.Millisecond)
}

// doSignals interrupts system calls, with signals that are ignored unless
// somebody wants them: a process may have no handlers yet.
func (d *driver) doSignals() {
	d.t.Helper()
	wait := d.machine.Start("systemctl", "reload", unit)
	for range 50 {
		for _, pid := range d.processes() {
			d.signal(pid, []syscall.Signal{syscall.SIGURG, syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGCONT}[d.random.IntN(4)])
		}
	}
	_, err := wait.Wait()
	d.must(err)
}
