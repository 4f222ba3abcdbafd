package notify

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openVsock prepares a link to a, with the first socket type that this kernel
// has.
func openVsock(a address, patience time.Duration) (*link, error) {
	var err error
	for _, kind := range vsockTypes(a.kind) {
		l := &link{fd: -1, family: unix.AF_VSOCK, kind: kind, to: &unix.SockaddrVM{CID: a.cid, Port: a.port}, patience: patience}
		if err = l.tryVsock(); err == nil {
			return l, nil
		}
		if !isMissing(err) {
			break
		}
	}
	return nil, err
}

// tryVsock opens a socket of l's type. It keeps a datagram socket, and opens
// the others only to see whether the kernel has the type.
func (l *link) tryVsock() error {
	fd, err := openSocket(l.family, l.kind, waitSlice)
	if err != nil {
		return err
	}
	if l.kind != unix.SOCK_DGRAM {
		return os.NewSyscallError("close", unix.Close(fd))
	}
	if err := bindPrivileged(fd); err != nil {
		_ = unix.Close(fd)
		return err
	}
	l.fd = fd
	return nil
}

// vsockTypes lists the socket types to try, in the order of sd_notify.
func vsockTypes(kind vsockKind) []int {
	switch kind {
	case vsockDatagram:
		return []int{unix.SOCK_DGRAM}
	case vsockSeqpacket:
		return []int{unix.SOCK_SEQPACKET}
	case vsockStream:
		return []int{unix.SOCK_STREAM}
	}
	return []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_STREAM}
}

// isMissing reports whether err says that the kernel lacks the socket type.
// virtio returns ENODEV for datagrams.
func isMissing(err error) bool {
	for _, errno := range []error{unix.ENODEV, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// bindPrivileged binds a port below 1024, by which the host knows that the
// sender is root in the guest. A process that may not bind one sends without.
func bindPrivileged(fd int) error {
	var err error
	for port := uint32(1023); port > 0; port-- {
		err = unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: port})
		switch err {
		case nil, unix.EACCES, unix.EPERM:
			return nil
		case unix.EADDRINUSE:
			continue
		}
		break
	}
	return os.NewSyscallError("bind", err)
}

// converse sends one message over its own connection, whose end is the end of
// the message. It waits until the receiver has closed the connection as well,
// as sd_notify does.
func (l *link) converse(text []byte) error {
	fd, err := openSocket(l.family, l.kind, l.patience)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if l.family == unix.AF_VSOCK {
		if err := bindPrivileged(fd); err != nil {
			return err
		}
	}
	if err := uninterrupted(func() error { return unix.Connect(fd, l.to) }); err != nil {
		return l.failed("connect", err)
	}
	if err := writeAll(fd, text); err != nil {
		return l.failed("write", err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return os.NewSyscallError("shutdown", err)
	}
	return l.awaitEnd(fd)
}

func writeAll(fd int, text []byte) error {
	for len(text) > 0 {
		err := uninterrupted(func() error {
			n, err := unix.SendmsgN(fd, text, nil, nil, unix.MSG_NOSIGNAL)
			text = text[max(n, 0):]
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *link) awaitEnd(fd int) error {
	var n int
	err := uninterrupted(func() (err error) {
		n, err = unix.Read(fd, make([]byte, 1))
		return err
	})
	if err != nil {
		return l.failed("read", err)
	}
	if n > 0 {
		return fmt.Errorf("receiver sent a reply, which the protocol does not allow: %w", unix.EPROTO)
	}
	return nil
}

// failed returns an error with the system call, and with the limit if the call
// timed out.
func (l *link) failed(call string, err error) error {
	if err == unix.EAGAIN {
		return fmt.Errorf("%s took %v: %w", call, l.patience, os.ErrDeadlineExceeded)
	}
	return os.NewSyscallError(call, err)
}

func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
