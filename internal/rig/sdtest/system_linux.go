package sdtest

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter moves the calling thread into all namespaces of the process that pidfd
// refers to, for good. For the process namespace that means the children of the
// thread, not itself. The thread's root and working directory become the root
// of the mount namespace, so it must not share them with the other threads any
// longer (setns(2)).
func enter(pidfd int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Setns(pidfd, namespaces|unix.CLONE_NEWCGROUP); err != nil {
		return os.NewSyscallError("setns", err)
	}
	// Commands must not get what boot.sh takes from systemd: a date -s in a
	// machine sets the clock of the host.
	for _, capability := range []uintptr{unix.CAP_SYS_MODULE, unix.CAP_SYS_TIME} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl", err)
		}
	}
	return nil
}

// signalProcess signals a process by its folder in any /proc, which the kernel
// takes for a pidfd: there is no moment in which the id could have become
// another's (pidfd_send_signal(2)).
func signalProcess(proc string, sig syscall.Signal) error {
	dir, err := os.Open(proc)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return os.NewSyscallError("pidfd_send_signal", unix.PidfdSendSignal(int(dir.Fd()), sig, nil, 0))
}

func onMainThread() bool { return unix.Gettid() == unix.Getpid() }

func closeDescriptor(fd int) error { return os.NewSyscallError("close", unix.Close(fd)) }
