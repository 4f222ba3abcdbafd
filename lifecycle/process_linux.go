package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a successor that was started here.
type process struct {
	pid   int
	pidfd *os.File // nil where the kernel has no pidfds
	child bool     // ours to wait for
}

// startProcess starts program with standard input, output and error and then files as its descriptors.
//
// It goes by raw descriptors and syscall.ForkExec: os.StartProcess asks File.Fd for each, which may clear O_NONBLOCK on the
// open file description that a live listener shares, whose Close then hangs.
//
// With sibling the new process is a child of our parent rather than of ours. A service manager that is our parent is then
// its parent as well, and notices its exit at once. The kernel refuses that to the init of a pid namespace (CLONE_PARENT
// with SIGNAL_UNKILLABLE in kernel/fork.c).
func startProcess(program string, args, env []string, files []int, sibling bool) (*process, error) {
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
	p := &process{pid: pid, child: !sibling}
	if pidfd >= 0 {
		_ = unix.SetNonblock(pidfd, true) // for os.NewFile to poll it
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	}
	return p, nil
}

// findProcess finds one that runs already. It is not waited for where the kernel has no pidfds, or where it has ended.
func findProcess(pid int) *process {
	p := &process{pid: pid}
	if fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK); err == nil {
		p.pidfd = os.NewFile(uintptr(fd), "pidfd")
	}
	return p
}

// kill ends the process, unless it has ended, and waits until it has.
func (p *process) kill() {
	if p.pidfd != nil {
		p.control(func(fd int) { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
	} else {
		_ = unix.Kill(p.pid, unix.SIGKILL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = p.wait(ctx)
}

// wait waits for the process to end and says how it did, as far as can be known: only a child's status is ours to read.
func (p *process) wait(ctx context.Context) (string, error) {
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
		_, err := unix.Wait4(p.pid, &status, 0, nil)
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
func (p *process) waitReadable(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.pidfd.SetReadDeadline(longAgo) })
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

// stopWaiting makes wait return, now or later.
func (p *process) stopWaiting() {
	if p.pidfd != nil {
		_ = p.pidfd.SetReadDeadline(longAgo)
	}
}

func (p *process) control(f func(fd int)) {
	if raw, err := p.pidfd.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// release forgets the process.
func (p *process) release() {
	if p.pidfd != nil {
		_ = p.pidfd.Close()
	}
}

// duplicate returns a close-on-exec duplicate of the descriptor of a socket or file, which the caller owns. The duplicate
// shares the open file description, O_NONBLOCK included, and leaves it as it is.
func duplicate(file any) (int, error) {
	holder, ok := file.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%T has no descriptor", file)
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup, dupErr := -1, error(nil)
	err = raw.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) })
	if err = errors.Join(err, os.NewSyscallError("fcntl", dupErr)); err != nil {
		return -1, err
	}
	return dup, nil
}

// hasUnread reports whether the kernel holds bytes of a connection that nobody has read.
func hasUnread(nc net.Conn) bool {
	holder, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}

func closeDescriptors(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// peerIsTrusted reports whether the process at the other end of a Unix connection runs as root or as this process's user.
func peerIsTrusted(nc net.Conn) bool {
	holder, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return false
	}
	trusted := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		trusted = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	})
	return err == nil && trusted
}
