package main

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// closed reports whether the other side has closed the connection, as far as is
// known here, without waiting and without reading.
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
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err == unix.ECONNRESET
	})
	return err == nil && gone
}
