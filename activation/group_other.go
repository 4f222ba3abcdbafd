//go:build !linux

package activation

import (
	"errors"
	"fmt"
	"net"
	"runtime"
)

func bindReusePort(network, address string, n int) (net.Listener, error) {
	if n > 1 {
		return nil, noGroup(n)
	}
	return net.Listen(network, address)
}

func bindPacketReusePort(network, address string, n int) (net.PacketConn, error) {
	if n > 1 {
		return nil, noGroup(n)
	}
	return net.ListenPacket(network, address)
}

// noGroup: elsewhere SO_REUSEPORT exists at most in name; it does not spread
// connections.
func noGroup(n int) error {
	return fmt.Errorf("activation: a group of %d sockets on %s: %w", n, runtime.GOOS, errors.ErrUnsupported)
}
