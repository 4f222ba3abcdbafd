package handover

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

var rightsSpace = unix.CmsgSpace(4 * MaxDescriptors)

// Pair makes a handover socket: our end, and the raw descriptor of the other end, close-on-exec, which the caller owns.
func Pair() (ours *Conn, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	ours, err = FromDescriptor(pair[0])
	if err != nil {
		_ = unix.Close(pair[1])
		return nil, -1, err
	}
	return ours, pair[1], nil
}

// FromDescriptor makes a Conn of an end that arrived in a message. It owns fd, also when it fails.
func FromDescriptor(fd int) (*Conn, error) {
	conn, err := NetConn(fd)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: descriptor %d is a %s socket", ErrMalformed, fd, conn.LocalAddr().Network())
	}
	return NewConn(unixConn), nil
}

// NetConn makes a net.Conn of a connection that arrived in a message. It owns fd, also when it fails.
//
// The descriptor must be non-blocking before os.NewFile sees it: else FileConn, by way of File.Fd, would for a moment make
// the open file description blocking, which the sender still shares.
func NetConn(fd int) (net.Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "handover")
	defer file.Close() // FileConn has duplicated it
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("handed over descriptor: %w", err)
	}
	return conn, nil
}

func rights(descriptors []int) []byte {
	if len(descriptors) == 0 {
		return nil
	}
	return unix.UnixRights(descriptors...)
}

func parseRights(oob []byte) (descriptors []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // SCM_CREDENTIALS and the like are nothing to own
		}
		descriptors = append(descriptors, fds...)
	}
	return descriptors, nil
}

func truncated(flags int) bool {
	return flags&unix.MSG_CTRUNC != 0
}

// A peer that dies with unread messages in its queue leaves ECONNRESET on our end (unix_release_sock in the kernel's
// net/unix/af_unix.c), which recvmsg reports once, ahead of what the peer had said before it died. Reading again gets that,
// then end-of-file.
func wasReset(err error) bool {
	return errors.Is(err, unix.ECONNRESET)
}

func closeAll(descriptors []int) {
	for _, fd := range descriptors {
		_ = unix.Close(fd)
	}
}
