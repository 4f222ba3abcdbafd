package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// hangUp sends SIGHUP to the process with that id on this host.
func hangUp(hostPID int) error { return os.NewSyscallError("kill", unix.Kill(hostPID, unix.SIGHUP)) }

// deathTime is how long a process may take to die.
const deathTime = 10 * time.Second

// kill kills the process with that id on this host, and returns when it is
// dead: pidfd_open(2).
func kill(hostPID int) (began, over time.Time, err error) {
	fd, err := unix.PidfdOpen(hostPID, 0)
	if err != nil {
		return began, over, os.NewSyscallError("pidfd_open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	began = time.Now()
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return began, over, os.NewSyscallError("pidfd_send_signal", err)
	}
	for deadline := began.Add(deathTime); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return began, over, os.NewSyscallError("poll", err)
		case n == 0:
			return began, over, os.ErrDeadlineExceeded
		default:
			return began, time.Now(), nil
		}
	}
}
