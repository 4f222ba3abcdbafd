package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/pty"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A terminal runs hello without a service manager, and reloads it with kill
// -HUP.
type terminal struct {
	t       *testing.T
	dir     string
	program string
	address string
	args    []string // beside the address
	log     *os.File
	attach  func(*exec.Cmd) // to what it runs in
	inPlace bool            // first is the only process there ever is
	first   int             // the process that start started
	ended   chan error      // receives how it ended
	inside  func(pid int) int
	screen  *os.File      // of the pseudoterminal, if it has one
	shown   chan struct{} // closed when all that was on the screen is in the log
}

// newTerminal has hello be the foreground job of a terminal.
func newTerminal(t *testing.T) host { return newForeground(t) }

func newForeground(t *testing.T) *terminal {
	h := newBare(t)
	h.inPlace = true
	h.attach = func(cmd *exec.Cmd) {
		screen, tty := pty.Open(t, 80)
		h.screen, h.shown = screen, make(chan struct{})
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		go func() {
			defer close(h.shown)
			_, _ = io.Copy(h.log, screen) // ends by EIO when the last process has gone
		}()
	}
	return h
}

// newContainer has hello be PID 1 of a process namespace, as containers do.
func newContainer(t *testing.T) *terminal {
	h := newBare(t)
	h.inPlace = true
	h.inside = func(pid int) int {
		if pid != 1 {
			t.Errorf("process %d serves in the container, want 1", pid)
		}
		return h.first
	}
	h.attach = func(cmd *exec.Cmd) {
		const mount = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
		cmd.Args = append([]string{"sh", "-c", mount, "sh"}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	}
	return h
}

// newBeside has the daemon of these tests start each successor beside itself,
// as all daemons do under systemd.
func newBeside(t *testing.T) host {
	h := newBare(t)
	h.args = []string{"-replace", "beside"}
	return h
}

func newBare(t *testing.T) *terminal {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	h := &terminal{
		t:       t,
		dir:     dir,
		program: filepath.Join(dir, "hello"),
		address: freeport.Address(t, "tcp"),
		log:     log,
		attach:  func(*exec.Cmd) {},
		inside:  func(pid int) int { return pid },
	}
	t.Cleanup(h.end)
	return h
}

func (h *terminal) end() {
	if _, gone := leakcheck.Kill(h.mark()); !gone {
		h.t.Errorf("processes left after SIGKILL: %v", h.processes())
	}
	if h.screen != nil {
		<-h.shown
		_ = h.screen.Close()
	}
	if h.t.Failed() {
		log, _ := os.ReadFile(h.log.Name())
		h.t.Logf("log:\n%s", log)
	}
	_ = h.log.Close()
}

func (h *terminal) install(program string) {
	h.t.Helper()
	data, err := os.ReadFile(program)
	if err == nil {
		err = writeProgram(h.program+".new", data)
	}
	if err == nil {
		err = os.Rename(h.program+".new", h.program)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *terminal) link(program string) {
	h.t.Helper()
	if err := os.Symlink(program, h.program+".new"); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(h.program+".new", h.program); err != nil {
		h.t.Fatal(err)
	}
}

func (h *terminal) remove() {
	if err := os.Remove(h.program); err != nil {
		h.t.Fatal(err)
	}
}

func (h *terminal) executable(yes bool) {
	mode := os.FileMode(0o644)
	if yes {
		mode = 0o755
	}
	if err := os.Chmod(h.program, mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *terminal) start() {
	h.t.Helper()
	cmd := exec.Command(h.program, append(h.args, "-listen", h.address)...)
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+h.dir)
	cmd.Stdout, cmd.Stderr = h.log, h.log
	h.attach(cmd)
	if err := h.launch(cmd); err != nil {
		h.t.Fatal(err)
	}
	h.wait("hello to serve", func() bool { // its socket may be open before that
		_, err := h.tryCommand("status")
		return err == nil
	})
}

// launch starts cmd from a thread that stays until it ends: Pdeathsig comes
// when the thread goes (PR_SET_PDEATHSIG(2const)).
func (h *terminal) launch(cmd *exec.Cmd) error {
	started := make(chan error)
	h.ended = make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if tty, ok := cmd.Stdin.(*os.File); ok {
			_ = tty.Close() // else the screen would stay on
		}
		started <- err
		if err == nil {
			h.ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	h.first = cmd.Process.Pid
	return nil
}

func (h *terminal) signal() {
	h.t.Helper()
	if h.inPlace {
		h.kill(h.first, syscall.SIGHUP)
		return
	}
	for { // until it is the one that serves: it may have been replaced, and have ended
		switch err := syscall.Kill(h.status().PID, syscall.SIGHUP); err {
		case nil:
			return
		case syscall.ESRCH:
		default:
			h.t.Fatal(err)
		}
	}
}

func (h *terminal) reload() error {
	h.t.Helper()
	before := h.status()
	if err := syscall.Kill(before.PID, syscall.SIGHUP); err != nil {
		return err
	}
	var s lifecycle.Status
	h.wait("the reload to end", func() bool {
		s = h.status()
		return s.LastReload != nil && s.State == lifecycle.Ready &&
			(before.LastReload == nil || s.LastReload.At.After(before.LastReload.At))
	})
	return reloadError(s)
}

func (h *terminal) status() lifecycle.Status {
	h.t.Helper()
	s := askStatus(h.t, filepath.Join(h.dir, "control"))
	s.PID = h.inside(s.PID)
	return s
}

func (h *terminal) command(args ...string) string {
	h.t.Helper()
	out, err := h.tryCommand(args...)
	if err != nil {
		h.t.Fatalf("hello %v: %v", args, err)
	}
	return out
}

func (h *terminal) tryCommand(args ...string) (string, error) {
	cmd := exec.Command(program("hello"), args...)
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+h.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), err
}

func (h *terminal) display() string { return h.command("status") }

func (h *terminal) stop() {
	h.t.Helper()
	for _, p := range h.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	h.wait("every process to end", func() bool { return len(h.processes()) == 0 })
}

// mark is the variable by which hello's processes are found: all inherit it.
func (h *terminal) mark() string { return "RUNTIME_DIRECTORY=" + h.dir }

// processes are hello's that live, but for its commands.
func (h *terminal) processes() []process {
	var list []process
	for _, pid := range leakcheck.Started(h.mark()) {
		dir := fmt.Sprintf("/proc/%d", pid)
		exe, _ := os.Readlink(dir + "/exe")
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		ppid, _ := strconv.Atoi(fields[1])
		if fields[0] != "Z" && exe != program("hello") {
			list = append(list, process{pid, ppid})
		}
	}
	return list
}

func (h *terminal) kill(pid int, sig syscall.Signal) {
	if err := syscall.Kill(pid, sig); err != nil {
		h.t.Error(err)
	}
}

func (h *terminal) proc(pid int) string     { return fmt.Sprintf("/proc/%d", pid) }
func (h *terminal) descriptors(pid int) int { return h.count(pid, "fd") }
func (h *terminal) threads(pid int) int     { return h.count(pid, "task") }

func (h *terminal) count(pid int, what string) int {
	h.t.Helper()
	entries, err := os.ReadDir(h.proc(pid) + "/" + what)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(entries)
}

func (h *terminal) target() loadtest.Target {
	return loadtest.Target{Address: h.address, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

func (h *terminal) wait(what string, cond func() bool) {
	h.t.Helper()
	poll(h.t, what, cond)
}
