package activation

import (
	"context"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func bindReusePort(network, address string, _ int) (net.Listener, error) {
	config := net.ListenConfig{Control: setReusePort}
	return config.Listen(context.Background(), network, address)
}

func bindPacketReusePort(network, address string, _ int) (net.PacketConn, error) {
	config := net.ListenConfig{Control: setReusePort}
	return config.ListenPacket(context.Background(), network, address)
}

func setReusePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	})
	if err != nil {
		return err
	}
	return failed
}
