package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// errLeft is matched by the error of end when processes had to be killed.
var errLeft = errors.New("processes were left over")

// A service is hello and all its generations: the processes of one process
// group. A generation that starts beside the one before outlives it, so this
// process asks the kernel to become the parent of orphans
// (PR_SET_CHILD_SUBREAPER in prctl(2)). Then waiting for the group misses none
// of them, and it is empty when there is no child left to wait for.
type service struct {
	program string
	env     []string
	address string
	log     string
	manager *manager      // nil if there is none
	stop    time.Duration // how long it may take to end
	group   int           // the id of the process group
	empty   chan struct{} // closed when the last process has ended
	failed  error         // of the processes that ended badly; for whoever saw empty closed
}

// startService starts program, with everything it writes in dir, on a port of
// the loopback interface that is free. It is replaced beside itself if it is
// managed, else in place.
func startService(program, dir string, managed bool) (_ *service, err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	address, err := freeport.Find("tcp")
	if err != nil {
		return nil, err
	}
	s := &service{
		program: program,
		env:     environ(dir),
		address: address,
		log:     filepath.Join(dir, "log"),
		stop:    stopTimeout,
		empty:   make(chan struct{}),
	}
	if managed {
		if s.manager, err = startManager(filepath.Join(dir, "notify")); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, s.manager.end())
			}
		}()
		s.env = append(s.env, "NOTIFY_SOCKET="+s.manager.address)
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, "-listen", address)
	if managed {
		// As systemd does for the process that it starts, to which it listens.
		cmd = exec.Command("/bin/sh", "-c", `SYSTEMD_EXEC_PID=$$ exec "$0" "$@"`, program, "-listen", address)
	}
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	// A group of its own also keeps the Ctrl-C of a terminal from the service,
	// which is to end after its clients.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.group = cmd.Process.Pid
	_ = cmd.Process.Release() // reap waits for it
	go s.reap()
	return s, nil
}

// environ names the folder for the control socket, and leaves out what a
// service manager told this process alone.
func environ(dir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "NOTIFY_SOCKET" || name == "RUNTIME_DIRECTORY" || name == "FDSTORE" ||
			strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "WATCHDOG_")
	})
	return append(env, "RUNTIME_DIRECTORY="+dir)
}

// reap waits for every process of the group.
func (s *service) reap() {
	defer close(s.empty)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-s.group, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return
		case status.Signaled() && status.Signal() == unix.SIGTERM:
			// Clean, to systemd as well: a generation that is done stops to
			// catch signals just before it ends.
		case status.Signaled():
			s.failed = errors.Join(s.failed, fmt.Errorf("process %d was killed by signal %v", pid, status.Signal()))
		case status.ExitStatus() != 0:
			s.failed = errors.Join(s.failed, fmt.Errorf("process %d ended with exit status %d", pid, status.ExitStatus()))
		}
	}
}

// waitServing returns when the first generation accepts connections.
func (s *service) waitServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var dialer net.Dialer
	for {
		nc, err := dialer.DialContext(ctx, "tcp", s.address)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-s.empty:
			return fmt.Errorf("hello did not start: %w", s.failed)
		case <-ctx.Done():
			return fmt.Errorf("hello does not serve: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// command runs a command of the service's own program and returns what it
// prints. Like the service, it does not get the Ctrl-C of a terminal.
func (s *service) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env = s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return string(text), nil
}

// end stops the service by SIGTERM, and kills what has not ended in time.
// failure is why the demo ends early, if it does: then the service's own
// account is shown.
func (s *service) end(out *show.Screen, failure error) error {
	began := time.Now()
	s.signal(unix.SIGTERM)
	err := error(nil)
	select {
	case <-s.empty:
		out.Say("SIGTERM: the last process has ended after %v", time.Since(began).Round(time.Millisecond))
	case <-time.After(s.stop):
		s.signal(unix.SIGKILL)
		<-s.empty
		err = fmt.Errorf("%w and killed, %v after SIGTERM", errLeft, s.stop)
	}
	err = errors.Join(err, s.failed)
	if s.manager != nil {
		err = errors.Join(err, s.manager.end())
	}
	if failure != nil || err != nil {
		log, _ := os.ReadFile(s.log)
		out.Say("\nwhat hello wrote:\n%s", log)
	}
	return err
}

// signal signals every process of the service, as systemd does when it stops a
// unit with KillMode=control-group.
func (s *service) signal(sig syscall.Signal) {
	select {
	case <-s.empty: // the number may be another group's by now
	default:
		_ = unix.Kill(-s.group, sig)
	}
}
