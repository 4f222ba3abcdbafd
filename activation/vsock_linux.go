package activation

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

func bindVsock(address string) (net.Listener, error) {
	asked, err := parseVsockAddr(address)
	if err != nil {
		return nil, err
	}
	if asked.Port == 0 {
		asked.Port = vsockAny
	}
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, noVsock(os.NewSyscallError("socket", err))
	}
	if err := bindAndListen(fd, asked); err != nil {
		_ = unix.Close(fd)
		return nil, &net.OpError{Op: "listen", Net: "vsock", Addr: asked, Err: err}
	}
	return asListener(newVsockListener(fd))
}

func bindAndListen(fd int, a VsockAddr) error {
	if err := unix.Bind(fd, &unix.SockaddrVM{CID: a.CID, Port: a.Port}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// The kernel cuts the backlog down to net.core.somaxconn or takes it as it
	// is; see listen(2).
	return os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN))
}

// newVsockListener takes over fd, and closes it when it fails.
func newVsockListener(fd int) (*VsockListener, error) {
	file, err := pollable(fd, "vsock listener")
	if err != nil {
		return nil, err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		_ = file.Close()
		return nil, noVsock(os.NewSyscallError("getsockname", err))
	}
	addr, _ := vsockAddress(local).(VsockAddr)
	return &VsockListener{file: file, addr: addr}, nil
}

// newVsockConn takes over fd, and closes it when it fails. A peer that is gone
// has no address; that is no error.
func newVsockConn(fd int) (*VsockConn, error) {
	file, err := pollable(fd, "vsock connection")
	if err != nil {
		return nil, err
	}
	c := &VsockConn{file: file}
	if local, err := unix.Getsockname(fd); err == nil {
		c.local = vsockAddress(local)
	}
	if remote, err := unix.Getpeername(fd); err == nil {
		c.remote = vsockAddress(remote)
	}
	return c, nil
}

// asListener and asConn keep a nil pointer from becoming an interface that is
// not nil.
func asListener(l *VsockListener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}

func asConn(c *VsockConn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// pollable makes fd non-blocking first: only then does os.NewFile register it
// with the poller.
func pollable(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, noVsock(os.NewSyscallError("fcntl", err))
	}
	return os.NewFile(uintptr(fd), name), nil
}

func vsockAddress(address unix.Sockaddr) net.Addr {
	if vm, ok := address.(*unix.SockaddrVM); ok {
		return VsockAddr{CID: vm.CID, Port: vm.Port}
	}
	return nil
}

func (l *VsockListener) accept() (*VsockConn, error) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	err = raw.Read(func(listener uintptr) bool {
		fd, failed = acceptOne(int(listener))
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("accept4", failed)
	}
	return newVsockConn(fd)
}

// acceptOne tries again after a signal, and after a client that left while it
// was queued, as package net does.
func acceptOne(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED) {
			return fd, err
		}
	}
}

func (c *VsockConn) shutdown(how int) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), how) }); err != nil {
		return err
	}
	return os.NewSyscallError("shutdown", failed)
}
