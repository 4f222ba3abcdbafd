package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// waitSlice is how long the kernel waits for room in the receiver's queue
// before we check context and clock again. The kernel notices room at once. The
// slice bounds only how late we notice an ended context.
const waitSlice = 100 * time.Millisecond

// link sends messages to one receiver.
//
// For datagrams it has a socket that is never connected. Each message names the
// address, and the kernel looks it up each time, as it does for sd_notify,
// which opens a socket for every message. A connected socket would stay with
// the receiver that was bound when it connected. systemd keeps that one through
// daemon-reexec. But a restarted user manager, a container manager or a
// supervisor binds a new one at the same path, and every later message would
// fail with ECONNREFUSED.
//
// It is a blocking socket, because poll(2) does not wait for the queue of a
// receiver that the socket is not connected to. The kernel's send does
// (unix_wait_for_peer), for at most SO_SNDTIMEO. So a full queue holds one
// thread, which the receiver's next read wakes.
type link struct {
	fd       int // the datagram socket, or -1 where every message takes its own connection
	family   int // AF_UNIX, which alone carries descriptors, or AF_VSOCK
	kind     int // SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM
	to       unix.Sockaddr
	patience time.Duration
}

func openLink(a address, patience time.Duration) (*link, error) {
	if a.path == "" {
		return openVsock(a, patience)
	}
	fd, err := openSocket(unix.AF_UNIX, unix.SOCK_DGRAM, waitSlice)
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrUnix{Name: a.path}
	return &link{fd: fd, family: unix.AF_UNIX, kind: unix.SOCK_DGRAM, to: to, patience: patience}, nil
}

// openSocket opens a socket whose sends and receives block for at most limit.
func openSocket(family, kind int, limit time.Duration) (int, error) {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	timeout := unix.NsecToTimeval(limit.Nanoseconds())
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &timeout); err != nil {
			_ = unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, nil
}

// send sends one message. It keeps neither text nor fds.
func (l *link) send(ctx context.Context, text []byte, fds []int) error {
	if l.family != unix.AF_UNIX && len(fds) > 0 {
		return fmt.Errorf("vsock carries no descriptors: %w", errors.ErrUnsupported)
	}
	if l.fd < 0 {
		return l.converse(text)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, err := unix.SendmsgN(l.fd, text, rights, l.to, unix.MSG_NOSIGNAL)
	if err == unix.EAGAIN || err == unix.EINTR {
		return l.sendPatiently(ctx, text, rights)
	}
	return os.NewSyscallError("sendmsg", err)
}

// sendPatiently repeats a send that has found the queue full for a slice, or
// was interrupted. The kernel does not restart a call that waits with
// SO_SNDTIMEO, see signal(7), and Go's scheduler interrupts threads by signals.
func (l *link) sendPatiently(ctx context.Context, text, rights []byte) error {
	for end := time.Now().Add(l.patience); time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := unix.SendmsgN(l.fd, text, rights, l.to, unix.MSG_NOSIGNAL)
		if err != unix.EAGAIN && err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
	return fmt.Errorf("queue full for %v: %w", l.patience, os.ErrDeadlineExceeded)
}

func (l *link) close() error {
	if l.fd < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(l.fd))
}

// monotonicMicroseconds reads the clock that systemd compares MONOTONIC_USEC
// with. Go's own monotonic reading has no fixed zero.
func monotonicMicroseconds() uint64 {
	var now unix.Timespec
	// clock_gettime(2) cannot fail here: CLOCK_MONOTONIC always exists, and
	// now is writable.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return uint64(now.Nano()) / 1000
}
