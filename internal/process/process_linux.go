package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

// past is a deadline that wakes a wait at once.
var past = time.Unix(1, 0)

// A Process is one that was started here, or found.
type Process struct {
	PID   int
	child bool     // ours to wait for
	pidfd *os.File // nil where the kernel has no pidfds
}

// Start starts program with standard input, output and error and then files as
// its descriptors.
//
// It goes by raw descriptors and syscall.ForkExec: os.StartProcess asks File.Fd
// for each, which may clear O_NONBLOCK on the open file description that a live
// listener shares, whose Close then hangs.
//
// With sibling the new process is a child of our parent rather than of ours. A
// service manager that is our parent is then its parent as well, and notices
// its exit at once. The kernel refuses that to the init of a pid namespace
// (CLONE_PARENT with SIGNAL_UNKILLABLE in kernel/fork.c).
func Start(program string, args, env []string, files []int, sibling bool) (*Process, error) {
	pidfd := -1
	attr := &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{PidFD: &pidfd},
	}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	if sibling {
		attr.Sys.Cloneflags = unix.CLONE_PARENT
	}
	pid, err := syscall.ForkExec(program, args, attr)
	if sibling && errors.Is(err, unix.EINVAL) {
		sibling, attr.Sys.Cloneflags = false, 0
		pid, err = syscall.ForkExec(program, args, attr)
	}
	if err != nil {
		return nil, &os.PathError{Op: "start", Path: program, Err: err}
	}
	p := &Process{PID: pid, child: !sibling}
	if pidfd >= 0 {
		_ = unix.SetNonblock(pidfd, true) // for os.NewFile to poll it
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	}
	return p, nil
}

// Find finds one that runs already. It is not waited for where the kernel has
// no pidfds, or where it has ended.
func Find(pid int) *Process {
	p := &Process{PID: pid}
	if fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK); err == nil {
		p.pidfd = os.NewFile(uintptr(fd), "pidfd")
	}
	return p
}

// Kill ends the process, unless it has ended, and waits until it has.
func (p *Process) Kill() {
	if p.pidfd != nil {
		fdutil.Control(p.pidfd, func(fd int) { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
	} else {
		_ = unix.Kill(p.PID, unix.SIGKILL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = p.Wait(ctx)
}

// Wait waits for the process to end and says how it did, as far as can be
// known: only a child's status is ours to read.
func (p *Process) Wait(ctx context.Context) (string, error) {
	if p.pidfd != nil {
		if err := p.waitReadable(ctx); err != nil {
			return "", err
		}
	}
	if !p.child {
		return "", nil
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.PID, &status, 0, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return "", os.NewSyscallError("wait4", err)
		case status.Signaled():
			return "signal " + status.Signal().String(), nil
		default:
			return fmt.Sprintf("exit status %d", status.ExitStatus()), nil
		}
	}
}

// A pidfd becomes readable when its process ends.
func (p *Process) waitReadable(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.pidfd.SetReadDeadline(past) })
	defer stop()
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		for err == unix.EINTR { // also without a wait, if a signal is pending
			ready, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		}
		return err == nil && ready > 0
	})
}

// StopWaiting makes Wait return, now or later.
func (p *Process) StopWaiting() {
	if p.pidfd != nil {
		_ = p.pidfd.SetReadDeadline(past)
	}
}

// Release forgets the process.
func (p *Process) Release() {
	if p.pidfd != nil {
		_ = p.pidfd.Close()
	}
}
