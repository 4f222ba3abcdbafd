package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/loadtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// A terminal starts hello as a shell does, and reloads it with kill -HUP.
type terminal struct {
	t       *testing.T
	dir     string
	program string
	address string
	log     *os.File
}

func newTerminal(t *testing.T) host {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	h := &terminal{t: t, dir: dir, program: filepath.Join(dir, "hello"), address: freeAddress(t), log: log}
	t.Cleanup(h.end)
	return h
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *terminal) end() {
	for _, p := range h.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
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
		err = os.WriteFile(h.program+".new", data, 0o755)
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
	cmd := exec.Command(h.program, "-listen", h.address)
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+h.dir)
	cmd.Stdout, cmd.Stderr = h.log, h.log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	h.wait("hello to answer", func() bool {
		nc, err := net.Dial("tcp", h.address)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	})
}

func (h *terminal) signal() {
	h.t.Helper()
	if err := syscall.Kill(h.status().PID, syscall.SIGHUP); err != nil {
		h.t.Error(err)
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
	return parseStatus(h.t, h.command("status", "-json"))
}

func (h *terminal) command(args ...string) string {
	h.t.Helper()
	cmd := exec.Command(program("hello"), args...)
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+h.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("hello %v: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

func (h *terminal) display() string { return h.command("status") }

func (h *terminal) stop() {
	h.t.Helper()
	for _, p := range h.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	h.wait("every process to end", func() bool { return len(h.processes()) == 0 })
}

// processes finds hello's by the variable that all of them inherit.
func (h *terminal) processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var list []process
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(env, []byte("RUNTIME_DIRECTORY="+h.dir+"\x00")) {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		ppid, _ := strconv.Atoi(fields[1])
		if exe, _ := os.Readlink(dir + "/exe"); fields[0] != "Z" && exe != program("hello") {
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

func (h *terminal) descriptors(pid int) int { return h.count(pid, "fd") }
func (h *terminal) threads(pid int) int     { return h.count(pid, "task") }

func (h *terminal) count(pid int, what string) int {
	h.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, what))
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
