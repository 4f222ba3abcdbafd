package conntrack_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// waitUntilRead waits until the server has taken all that was sent off its
// socket, so that what is sent next is a segment of its own. A server that has
// closed the connection reads no more.
func waitUntilRead(t *testing.T, server net.Conn, sent int) {
	t.Helper()
	raw, err := server.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_, tcp := server.(*net.TCPConn)
	read := func() bool {
		done := true
		closed := raw.Control(func(fd uintptr) {
			if tcp { // or it is still on its way
				info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
				done = err != nil || info.Bytes_received >= uint64(sent)
			}
			// SIOCINQ is FIONREAD.
			if waiting, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ); err == nil && waiting > 0 {
				done = false
			}
		})
		return done || closed != nil
	}
	if !patience.Until(30*time.Second, read) {
		t.Errorf("the server has not read the %d bytes", sent)
	}
}
