package chaos_test

import (
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

func (d *driver) doKill() {
	d.t.Helper()
	d.grown()
	d.while(100 * time.Millisecond)
	d.kill(d.pid, syscall.SIGKILL, d.harm)
}

func (d *driver) doAbort() {
	d.t.Helper()
	d.grown()
	d.while(100 * time.Millisecond)
	d.kill(d.pid, syscall.SIGABRT, d.harm)
}

// doKillSuccessor has a reload fail.
func (d *driver) doKillSuccessor() {
	d.t.Helper()
	successor, wait := d.starting()
	d.kill(successor, syscall.SIGKILL, d.harm)
	if err := wait(); err == nil {
		d.t.Error("the reload succeeded, whose process was killed")
	}
}

func (d *driver) doKillStarting() {
	d.t.Helper()
	d.grown()
	_, wait := d.starting()
	d.kill(d.pid, syscall.SIGKILL, d.harm)
	d.undoHold()
	_ = wait()
}

// doKillPaused kills a process that had stopped to run when it had started a
// successor.
func (d *driver) doKillPaused() {
	d.t.Helper()
	d.grown()
	_, wait := d.starting()
	d.signal(d.pid, syscall.SIGSTOP)
	d.undoHold()
	d.while(200 * time.Millisecond)
	d.kill(d.pid, syscall.SIGKILL, d.harm)
	_ = wait()
}

// doKillPredecessor kills a process that finishes its last requests. What it
// has handed over goes on.
func (d *driver) doKillPredecessor() {
	d.t.Helper()
	d.grown()
	predecessor := d.pid
	d.doReload()
	d.while(50 * time.Millisecond)
	d.kill(predecessor, syscall.SIGKILL, d.harm)
}

// doKillReload kills any process at any time of a reload.
func (d *driver) doKillReload() {
	d.t.Helper()
	d.grown()
	reload := d.machine.Start("systemctl", "reload", unit)
	d.while(120 * time.Millisecond)
	pids := d.processes()
	d.kill(pids[d.random.IntN(len(pids))], syscall.SIGKILL, d.harm)
	_, _ = reload.Wait()
}

func (d *driver) doKillRestart() {
	d.t.Helper()
	d.grown()
	restart := d.machine.Start("systemctl", "restart", unit)
	d.while(120 * time.Millisecond)
	if pids := d.processes(); len(pids) > 0 {
		d.kill(pids[d.random.IntN(len(pids))], syscall.SIGKILL, d.harm)
	}
	_, _ = restart.Wait()
}

// doKillInPlace kills a process at any time of its replacement in place.
func (d *driver) doKillInPlace() {
	d.t.Helper()
	d.machine.WriteFile(runtimeDir+"/in-place", "", 0o644)
	d.doReload()
	s := d.settled(d.generation + 1)
	d.since = time.Now()
	d.grown()
	reload := d.machine.Start("systemctl", "reload", unit)
	d.while(200 * time.Millisecond)
	d.kill(s.PID, syscall.SIGKILL, d.harm)
	_, _ = reload.Wait()
}

func (d *driver) undoKillInPlace() {
	d.t.Helper()
	d.machine.MustRun("rm", runtimeDir+"/in-place")
	patience.Until(time.Minute, func() bool { _, err := d.status(); return err == nil })
	d.doRestart()
}
