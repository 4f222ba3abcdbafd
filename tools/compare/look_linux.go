package main

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// closed reports whether the other side has closed the connection, as far as is
// known here, without waiting and without reading. What it has sent before may
// be unread: with TLS there is an alert at least.
func closed(conn net.Conn) bool {
	holder, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		look := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(look, 0)
		gone = err == nil && n > 0 // an error of the connection is always told
	})
	return err == nil && gone
}
