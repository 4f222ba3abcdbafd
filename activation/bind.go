package activation

import (
	"fmt"
	"net"
)

// Bind listens on the address without looking at what was handed:
// [Table.Listen] uses it where nothing was. The networks are "tcp", "tcp4",
// "tcp6", "unix" and "unixpacket" as in net.Listen, and "vsock" with an address
// as in [VsockAddr]; any other matches net.UnknownNetworkError. The caller owns
// the listener.
//
// A Unix socket that a dead process left behind is replaced. Dead means that
// connect(2) answers ECONNREFUSED to a datagram socket: while any process has a
// socket bound to the path, of whatever type and whether it listens yet or not,
// the answer is another one, and no connection is queued at a living server.
// The check, the removal and the new bind are done under flock(2) on the
// directory, so that of several starters one wins and the others find a living
// socket. If another program keeps that lock for five seconds, Bind gives up.
//
// Everything else at the path stays, and the error matches syscall.EADDRINUSE
// and names it: a living socket, one that may not be connected to, a file that
// is no socket, a symbolic link. A path of more than 107 bytes matches
// syscall.ENAMETOOLONG, a missing directory fs.ErrNotExist, a NUL byte
// [ErrMalformed]. An abstract name ("@name") has no file to replace. On systems
// other than Linux, Unix sockets are bound as net.Listen does, and "vsock"
// matches errors.ErrUnsupported.
//
// Close of a *net.UnixListener from Bind unlinks the path. A process that hands
// it on must first call SetUnlinkOnClose(false).
func Bind(network, address string) (net.Listener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return net.Listen(network, address)
	case "unix", "unixpacket":
		return bindUnix(address, func() (net.Listener, error) { return net.Listen(network, address) })
	case "vsock":
		return bindVsock(address)
	}
	return nil, fmt.Errorf("activation: listen: %w", net.UnknownNetworkError(network))
}

// BindPacket is like [Bind] for packets: "udp", "udp4", "udp6" and the "ip"
// networks as in net.ListenPacket, and "unixgram", for which it returns a
// *[UnixPacketConn].
func BindPacket(network, address string) (net.PacketConn, error) {
	if network == "unixgram" {
		return bindUnix(address, func() (net.PacketConn, error) { return bindUnixgram(address) })
	}
	if base, _ := splitNetwork(network); base == "udp" || base == "ip" {
		return net.ListenPacket(network, address)
	}
	return nil, fmt.Errorf("activation: listen: %w", net.UnknownNetworkError(network))
}
