package chaos_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// pidOf returns the main process of a unit.
func (d *driver) pidOf(unit string) int { d.t.Helper(); return d.number(unit, "MainPID") }

func (d *driver) doJournalRestart() {
	d.t.Helper()
	d.systemctl("--no-block", "restart", "systemd-journald.service")
	d.while(50 * time.Millisecond)
	d.replace()
}

func (d *driver) doJournalKill() {
	d.t.Helper()
	d.signal(d.pidOf("systemd-journald.service"), syscall.SIGKILL)
	d.while(50 * time.Millisecond)
	d.replace()
}

func (d *driver) doJournalHangs() {
	d.t.Helper()
	d.signal(d.pidOf("systemd-journald.service"), syscall.SIGSTOP)
	d.replace()
}

func (d *driver) undoJournalHangs() {
	d.t.Helper()
	d.signal(d.pidOf("systemd-journald.service"), syscall.SIGCONT)
}

func (d *driver) doBusGone() {
	d.t.Helper()
	d.systemctl("stop", "dbus.socket", "dbus.service")
	d.replace()
}

func (d *driver) undoBusGone() { d.t.Helper(); d.systemctl("start", "dbus.socket", "dbus.service") }

func (d *driver) doBusHangs() {
	d.t.Helper()
	d.signal(d.pidOf("dbus.service"), syscall.SIGSTOP)
	d.replace()
}

func (d *driver) undoBusHangs() { d.t.Helper(); d.signal(d.pidOf("dbus.service"), syscall.SIGCONT) }

// doNoDescriptors leaves the process hardly any, and asks for a reload, which
// may fail.
func (d *driver) doNoDescriptors() {
	d.t.Helper()
	n := d.machine.Descriptors(d.pid) + d.random.IntN(8)
	d.machine.MustRun("prlimit", "--pid", strconv.Itoa(d.pid), fmt.Sprintf("--nofile=%d:", n))
	d.while(100 * time.Millisecond)
	if d.random.IntN(2) == 0 {
		_ = d.reload()
	}
	d.while(300 * time.Millisecond)
}

// undoNoDescriptors lets every process have as many again as it may.
func (d *driver) undoNoDescriptors() {
	d.t.Helper()
	for _, pid := range d.processes() {
		number := strconv.Itoa(pid)
		hard, err := d.machine.Run("prlimit", "--pid", number, "--nofile", "--output", "HARD", "--noheadings")
		out := ""
		if err == nil {
			out, err = d.machine.Run("prlimit", "--pid", number, "--nofile="+strings.TrimSpace(hard)+":")
		}
		if err != nil && !d.gone(pid) {
			d.t.Errorf("process %d: %v: %s%s", pid, err, hard, out)
		}
	}
}

func (d *driver) doFullDisk() {
	d.t.Helper()
	_, _ = d.machine.Run("dd", "if=/dev/zero", "of="+runtimeDir+"/full", "bs=4k")
	_ = d.try([]string{"reload", "restart"}[d.random.IntN(2)])
}

func (d *driver) doNoInodes() {
	d.t.Helper()
	_, _ = d.machine.Run("sh", "-c", "i=0; while mkdir -p "+runtimeDir+"/full/$i; do i=$((i+1)); done 2>/dev/null")
	_ = d.try([]string{"reload", "restart"}[d.random.IntN(2)])
}

func (d *driver) undoFullDisk() { d.t.Helper(); d.machine.MustRun("rm", "-r", runtimeDir+"/full") }

const bad = "#!/bin/sh\nexit 3\n"

func (d *driver) doBad() {
	d.t.Helper()
	d.machine.WriteFile(installed, bad, 0o755)
	if err := d.reload(); err == nil {
		d.t.Error("a reload of a bad program succeeded")
	}
}

func (d *driver) doBadRestart() {
	d.t.Helper()
	d.machine.WriteFile(installed, bad, 0o755)
	_ = d.restart()
	d.while(500 * time.Millisecond)
}

func (d *driver) undoProgram() {
	d.t.Helper()
	d.machine.Install(program(d.t, today), installed)
	patience.Until(time.Minute, func() bool { _, err := d.status(); return err == nil })
	d.replace()
}

func (d *driver) doOlder() {
	d.t.Helper()
	d.machine.Install(program(d.t, older), installed)
	d.replace()
	if s := d.settled(d.generation + 1); s.Version != older {
		d.t.Errorf("%s serves", s.Version)
	}
}

func (d *driver) undoOlder() {
	d.t.Helper()
	d.undoProgram()
	if s := d.settled(d.generation + 2); s.Version != today {
		d.t.Errorf("%s serves", s.Version)
	}
}

// doSwap puts another program in place while a reload starts one.
func (d *driver) doSwap() {
	d.t.Helper()
	d.systemctl("--no-block", "reload", unit)
	d.while(60 * time.Millisecond)
	if d.random.IntN(2) == 0 {
		d.machine.Install(program(d.t, older), installed)
	} else {
		d.machine.WriteFile(installed, bad, 0o755)
	}
}

// varlinkSocket is where systemd answers, if it is new enough.
const varlinkSocket = "/run/systemd/io.systemd.Manager"

func (d *driver) doVarlinkGone() {
	d.t.Helper()
	_, _ = d.machine.Run("mv", varlinkSocket, varlinkSocket+".away")
	d.replace()
}

// doVarlinkHangs puts a socket in place that takes connections, and says
// nothing.
func (d *driver) doVarlinkHangs() {
	d.t.Helper()
	_, _ = d.machine.Run("mv", varlinkSocket, varlinkSocket+".away")
	var silent net.Listener
	d.must(d.machine.Inside(func() (err error) {
		silent, err = net.Listen("unix", varlinkSocket)
		return err
	}))
	defer silent.Close()
	d.machine.MustRun("chmod", "666", varlinkSocket)
	d.replace()
}

func (d *driver) undoVarlink() {
	d.t.Helper()
	d.machine.MustRun("rm", "-f", varlinkSocket)
	_, _ = d.machine.Run("mv", varlinkSocket+".away", varlinkSocket)
}

// doNoTasks lets the service start hardly any thread or process, and asks for a
// reload. Go ends a process that cannot have a thread that it needs.
func (d *driver) doNoTasks() {
	d.t.Helper()
	d.grown()
	began := time.Now()
	n := d.machine.Threads(d.pid) + d.random.IntN(12)
	d.systemctl("set-property", "--runtime", unit, "TasksMax="+strconv.Itoa(n))
	_ = d.reload()
	d.while(200 * time.Millisecond)
	d.killed(d.pid, began, d.harm)
}

func (d *driver) undoNoTasks() {
	d.t.Helper()
	d.systemctl("set-property", "--runtime", unit, "TasksMax=infinity")
}
