package handover

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// NewMould makes a Mould, for which Close is to be called. It takes one
// descriptor. If there is none, it is the zero value.
func NewMould() *Mould {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return new(Mould)
	}
	return &Mould{file: os.NewFile(uintptr(fd), "handover")}
}

// NetConn is the function of the same name.
//
// The Mould's own descriptor becomes one of the connection (dup3(2)), and net
// duplicates that. In between its number is the connection's, and fd's is free,
// so that no more are needed than without a Mould. Fd of this file changes
// nothing, since os has not made it non-blocking.
func (m *Mould) NetConn(fd int) (net.Conn, error) {
	if m.file == nil {
		return NetConn(fd)
	}
	err := checkConnection(fd)
	if err != nil {
		err = fmt.Errorf("%w: descriptor %d: %w", ErrMalformed, fd, err)
	} else if err = unix.Dup3(fd, int(m.file.Fd()), unix.O_CLOEXEC); err != nil {
		err = os.NewSyscallError("dup3", err)
	}
	_ = unix.Close(fd)
	if err != nil {
		return nil, err
	}
	conn, err := net.FileConn(m.file)
	if err != nil {
		return nil, fmt.Errorf("handed over descriptor: %w", err)
	}
	return conn, nil
}
