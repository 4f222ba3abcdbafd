package activation

import (
	"fmt"
	"io"
	"net"
)

// ListenGroup returns the listeners of that name and network that nobody has
// claimed, in descriptor order and whatever their number and addresses; or, if
// no file of that name was handed, n new ones bound to the same address with
// SO_REUSEPORT (socket(7)), among which the kernel spreads the connections. The
// networks are "tcp", "tcp4" and "tcp6". With port 0 the first socket's port is
// that of all.
//
// Handing a whole group to a successor loses no connection; closing one member
// does, since what waits in its queue is reset. So a successor serves what it
// was handed even if it would have asked for another n.
//
// Errors are those of [Table.Listen] and [Bind], and [ErrMalformed] for n < 1.
// On any error nothing is left open. The caller owns the listeners, all of type
// *net.TCPListener. On systems other than Linux, n > 1 matches
// errors.ErrUnsupported.
func (t *Table) ListenGroup(name, network, address string, n int) ([]net.Listener, error) {
	if err := checkGroup(network, "tcp", n); err != nil {
		return nil, err
	}
	if t.has(name) {
		return claimAll(t, name, listeners(network), (*entry).listener)
	}
	return bindGroup(n, address, func(address string) (net.Listener, string, error) {
		ln, err := bindReusePort(network, address, n)
		if err != nil {
			return nil, "", t.Explain(name, network, address, err)
		}
		return ln, ln.Addr().String(), nil
	})
}

// ListenPacketGroup is [Table.ListenGroup] for "udp", "udp4" and "udp6"; all
// are of type *net.UDPConn.
func (t *Table) ListenPacketGroup(name, network, address string, n int) ([]net.PacketConn, error) {
	if err := checkGroup(network, "udp", n); err != nil {
		return nil, err
	}
	if t.has(name) {
		return claimAll(t, name, packets(network), (*entry).packetConn)
	}
	return bindGroup(n, address, func(address string) (net.PacketConn, string, error) {
		conn, err := bindPacketReusePort(network, address, n)
		if err != nil {
			return nil, "", t.Explain(name, network, address, err)
		}
		return conn, conn.LocalAddr().String(), nil
	})
}

func checkGroup(network, base string, n int) error {
	if err := checkNetwork(network, func(network string) bool { return network == base }); err != nil {
		return err
	}
	if n < 1 {
		return fmt.Errorf("activation: a group of %d sockets: %w", n, ErrMalformed)
	}
	return nil
}

// bindGroup binds all members where the first one ended up.
func bindGroup[T io.Closer](n int, address string, bind func(address string) (T, string, error)) ([]T, error) {
	group := make([]T, 0, n)
	for range n {
		member, bound, err := bind(address)
		if err != nil {
			closeEach(group)
			return nil, err
		}
		group, address = append(group, member), bound
	}
	return group, nil
}
