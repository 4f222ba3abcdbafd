package ledger

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// The states of a connection that can be at rest (include/net/tcp_states.h in
// the kernel).
const (
	tcpEstablished = 1
	tcpCloseWait   = 8 // the client has sent a FIN
)

// isTCP reports whether fd is a socket of TCP, and not of Multipath TCP, whose
// counts are those of its first path alone.
func isTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_TCP
}

// witness returns how many bytes of a connection have been read since it was
// made, by whatever process, as the kernel counts them. It is not known of what
// is not a connection of TCP that can be at rest.
//
// The kernel counts what has arrived (tcp(7), TCP_INFO) and what of it waits to
// be read. Bytes may arrive between the two questions, so the first is asked
// again. A FIN counts as a byte that has arrived.
func witness(fd int) (taken uint64, known bool) {
	if !isTCP(fd) {
		return 0, false
	}
	const attempts = 100 // of a client that sends all the time
	for range attempts {
		before, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || before.State != tcpEstablished && before.State != tcpCloseWait {
			return 0, false
		}
		waiting, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return 0, false
		}
		after, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || after.State != before.State || after.Bytes_received != before.Bytes_received {
			continue
		}
		taken = before.Bytes_received - uint64(waiting)
		if before.State == tcpCloseWait {
			taken--
		}
		return taken, true
	}
	return 0, false
}

// shutDown ends a connection in every process that has it.
func shutDown(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }

// remote returns the address of the other end of a connection, "" if it is not
// known any more.
func remote(fd int) string {
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return ""
	}
	switch peer := peer.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(peer.Addr), uint16(peer.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(peer.Addr).Unmap(), uint16(peer.Port)).String()
	default:
		return ""
	}
}
