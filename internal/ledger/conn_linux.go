package ledger

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

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
