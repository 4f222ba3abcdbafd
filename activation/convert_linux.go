package activation

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// adopt turns the entry's socket into a value of package net. The net functions
// work on a duplicate; the original is closed, so that the caller's is the only
// one left. (*os.File).Fd, which they call, leaves the blocking mode alone for
// files from os.NewFile (os/file_unix.go, newFile: only kindSock sets
// nonblock).
func adopt[T any](e *entry, convert func(*os.File) (T, error)) (T, error) {
	file := os.NewFile(uintptr(e.fd), e.Name)
	defer func() { _ = file.Close() }()
	value, err := convert(file)
	if err != nil {
		err = fmt.Errorf("activation: %s: %w", e, err)
	}
	return value, err
}

func (e *entry) listener() (net.Listener, error) {
	if e.Network == "vsock" {
		return asListener(newVsockListener(e.fd))
	}
	return adopt(e, net.FileListener)
}

func (e *entry) packetConn() (net.PacketConn, error) {
	return adopt(e, net.FilePacketConn)
}

func (e *entry) conn() (net.Conn, error) {
	if e.Network == "vsock" {
		return asConn(newVsockConn(e.fd))
	}
	return adopt(e, net.FileConn)
}

// openFile makes what the poller can wait for non-blocking before os.NewFile
// looks at it.
func (e *entry) openFile() (*os.File, error) {
	if e.Network == "fifo" || e.Network == "mqueue" || isSocket(e.Network) {
		if err := unix.SetNonblock(e.fd, true); err != nil {
			_ = e.close()
			return nil, fmt.Errorf("activation: %s: %w", e, os.NewSyscallError("fcntl", err))
		}
	}
	name := e.Address
	if name == "" {
		name = e.Name
	}
	return os.NewFile(uintptr(e.fd), name), nil
}

func (e *entry) close() error {
	if err := unix.Close(e.fd); err != nil {
		return fmt.Errorf("activation: close %s: %w", e, os.NewSyscallError("close", err))
	}
	return nil
}
