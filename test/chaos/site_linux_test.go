package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/units"
)

const (
	unit      = "hello.service"
	installed = "/usr/bin/hello"
	// command is a good copy of the program for ExecReload=, whatever there is
	// in its place.
	command = "/usr/local/bin/hello-command"

	plainAddress  = "127.0.0.1:8080"
	secureAddress = "127.0.0.1:8443"

	runtimeDir = "/run/hello"     // a file system of its own, to be filled
	stateDir   = "/var/lib/hello" // with the logs
)

// A site is a machine that runs the daemon.
type site struct {
	t       *testing.T
	machine *sdtest.Machine
	version sdtest.Version
}

func newSite(t *testing.T, v sdtest.Version) *site {
	t.Helper()
	sdtest.Require(t, v)
	good := program(t, today)
	s := &site{t: t, machine: sdtest.Boot(t, v), version: v}
	s.machine.Install(good, command)
	s.machine.Install(good, installed)
	hello := units.Service{
		Name: "hello", Program: installed, User: "hello", StateDirectory: []string{"hello"},
		Sockets: []units.Socket{
			{Name: "http", Addresses: []string{plainAddress}}, {Name: "https", Addresses: []string{secureAddress}},
		},
		StopTimeout: 10 * time.Minute, // what may hang is only ended by it
		Settings: []units.Setting{
			{Section: "Service", Name: "RuntimeDirectoryPreserve", Value: "yes"},
			{Section: "Service", Name: "ExecReload", Value: ""},
			{Section: "Service", Name: "ExecReload", Value: command + " reload"},
			{Section: "Service", Name: "RestartSec", Value: "100ms"},
			{Section: "Unit", Name: "StartLimitIntervalSec", Value: "0"},
		},
	}
	s.install(hello)
	s.machine.MustRun("mkdir", runtimeDir)
	s.machine.MustRun("mount", "-t", "tmpfs", "-o", "mode=755,size=256k,nr_inodes=64", "tmpfs", runtimeDir)
	s.machine.MustRun("systemctl", append([]string{"start", unit}, hello.SocketUnits()...)...)
	return s
}

// install installs all that the description leads to, as packages do.
func (s *site) install(hello units.Service) {
	s.t.Helper()
	files, err := hello.Render(int(s.version))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		s.machine.WriteFile(file.Path, file.Text, file.Mode)
		if filepath.Dir(file.Path) == "/usr/lib/sysusers.d" {
			s.machine.MustRun("systemd-sysusers", filepath.Base(file.Path))
		}
	}
	s.systemctl("daemon-reload")
}

// systemctl fails the test unless the command succeeds.
func (s *site) systemctl(args ...string) {
	s.t.Helper()
	s.machine.MustRun("systemctl", args...)
}

// reload and restart return what went wrong, to the operator's eyes.
func (s *site) reload() error  { return s.try("reload") }
func (s *site) restart() error { return s.try("restart") }

func (s *site) try(verb string) error {
	out, err := s.machine.Run("systemctl", verb, unit)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", verb, err, out)
	}
	return nil
}

// status asks the service, which may not answer.
func (s *site) status() (status lifecycle.Status, err error) {
	ctx, cancel := patience.Context(context.Background(), 5*time.Second)
	defer cancel()
	var out bytes.Buffer
	options := lifecycle.Options{Name: "hello", ControlSocket: s.machine.Root() + runtimeDir + "/control"}
	if err := lifecycle.Command(ctx, options, []string{"status", "-json"}, &out); err != nil {
		return status, err
	}
	return status, json.Unmarshal(out.Bytes(), &status)
}

// processes are those of the service that live.
func (s *site) processes() (pids []int) {
	s.t.Helper()
	for _, p := range s.machine.Processes(unit) {
		if p.State != 'Z' {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// settled waits until one process serves, alone, as a generation that is not
// older than one.
func (s *site) settled(generation int) lifecycle.Status {
	s.t.Helper()
	var status lifecycle.Status
	var pids []int
	ok := patience.Until(2*time.Minute, func() bool {
		var err error
		status, err = s.status()
		pids = s.processes()
		return err == nil && status.State == lifecycle.Ready && status.Generation >= generation && len(status.Predecessors) == 0 &&
			len(pids) == 1 && pids[0] == status.PID && s.number(unit, "MainPID") == status.PID
	})
	if !ok {
		s.t.Fatalf("waited in vain for generation %d to serve alone: processes %v, status %+v", generation, pids, status)
	}
	return status
}

// number is a property of a unit.
func (s *site) number(unit, name string) int {
	s.t.Helper()
	text := s.machine.Property(unit, name)
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("%s=%s", name, text)
	}
	return n
}

// path is where the host has a file of the machine.
func (s *site) path(inside string) string { return s.machine.Root() + inside }

// proc is a file of a process of the machine.
func (s *site) proc(pid int, name string) string {
	return s.path(fmt.Sprintf("/proc/%d/%s", pid, name))
}

// gone reports whether a process has ended.
func (s *site) gone(pid int) bool {
	stat, err := os.ReadFile(s.proc(pid, "stat"))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// signal signals a process, if it is there. One that is to stop has stopped then.
func (s *site) signal(pid int, sig syscall.Signal) {
	s.t.Helper()
	if s.gone(pid) {
		return
	}
	if out, err := s.machine.Run("kill", "-"+strconv.Itoa(int(sig)), strconv.Itoa(pid)); err != nil && !s.gone(pid) {
		s.t.Errorf("signal %d to process %d: %v: %s", sig, pid, err, out)
	}
	if sig == syscall.SIGSTOP && !patience.Until(10*time.Second, func() bool { return s.gone(pid) || s.stopped(pid) }) {
		s.t.Errorf("process %d does not stop", pid)
	}
}

func (s *site) stopped(pid int) bool {
	stat, err := os.ReadFile(s.proc(pid, "stat"))
	return err == nil && strings.Contains(string(stat), ") T ")
}

// log is what a process has noted of its connections.
func (s *site) log(pid int) string { return s.path(fmt.Sprintf("%s/log.%d", stateDir, pid)) }

// sweep removes the logs of processes that are gone.
func (s *site) sweep() {
	s.t.Helper()
	logs, err := filepath.Glob(s.path(stateDir + "/log.*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range logs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(path), "."))
		if err == nil && s.gone(pid) {
			_ = os.Remove(path)
		}
	}
}
