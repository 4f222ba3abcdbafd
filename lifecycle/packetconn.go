package lifecycle

import (
	"errors"
	"fmt"
	"net"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/gate"
)

// errPacketsStay is the error of a read that leaves datagrams to the next process.
// Servers know it by net.ErrClosed, and older ones by its text.
var errPacketsStay = fmt.Errorf("%w: %w", net.ErrClosed, ErrDraining)

// newPacketSocket returns conn as one whose reads heed which generation is to
// read: see sockets.Gated.
func newPacketSocket(conn net.PacketConn, remove func()) (net.PacketConn, error) {
	switch c := conn.(type) {
	case *net.UDPConn:
		return &UDPConn{gate.NewUDP(c, errPacketsStay, remove)}, nil
	case *net.UnixConn:
		return &UnixConn{gate.NewUnix(c, errPacketsStay, remove)}, nil
	case *activation.UnixPacketConn: // whose path is removed by the last generation only
		return &UnixConn{gate.NewUnix(c.UnixConn, errPacketsStay, remove)}, nil
	case *net.IPConn:
		return &IPConn{gate.NewIP(c, errPacketsStay, remove)}, nil
	default:
		return nil, fmt.Errorf("packets of %T: %w", conn, errors.ErrUnsupported)
	}
}

// What the types below embed, under names that are nobody else's to use.
type (
	gatedUDP  = gate.UDP
	gatedUnix = gate.Unix
	gatedIP   = gate.IP
)

// A UDPConn is a UDP socket that [Service.ListenPacket] returned. It embeds a
// *net.UDPConn, which is its field UDPConn, and has all methods of that, which
// several goroutines may use. This is the difference:
//
// A read waits, but for its deadline, until this process is to serve; that is
// in Run, when it has no predecessor or that lets it. From when the process
// drains, reads fail at once with an error that matches net.ErrClosed and
// [ErrDraining], whatever deadline is set. No datagram is lost by that: a read
// either returns one, or leaves it in the kernel to the next process. That goes
// for Read, ReadFrom, ReadFromUDP, ReadFromUDPAddrPort, ReadMsgUDP and
// ReadMsgUDPAddrPort, and for what SyscallConn returns. Close closes the socket
// for this process.
//
// A library that asks by a type assertion whether it has a *net.UDPConn finds
// that it has none, and may leave something out: miekg/dns then answers from an
// address of the kernel's choice, on a machine with several, see
// [github.com/heirloom-go/heirloom/examples/dns].
//
// The Service closes it when Run ends. One that is closed before cannot be
// handed over, so that reloads fail.
type UDPConn struct{ gatedUDP }

// A UnixConn is a Unix datagram socket that [Service.ListenPacket] returned. It
// is to *net.UnixConn what [UDPConn] is to *net.UDPConn. Close removes its path
// as [Service.Listen] says. CloseRead and CloseWrite must not be called: they
// shut the socket down for all generations.
type UnixConn struct{ gatedUnix }

// An IPConn is a raw IP socket that [Service.ListenPacket] returned. It is to
// *net.IPConn what [UDPConn] is to *net.UDPConn.
type IPConn struct{ gatedIP }
