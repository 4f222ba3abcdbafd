package lifecycle

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// newPacketSocket returns conn as one whose reads heed which generation is to read. It takes ownership of conn unless there is
// an error.
func newPacketSocket(conn net.PacketConn, bound *handover.Bound) (packetSocket, error) {
	switch c := conn.(type) {
	case *net.UDPConn:
		return &UDPConn{c, newGate(c, bound)}, nil
	case *net.UnixConn:
		return &UnixConn{c, newGate(c, bound)}, nil
	case *activation.UnixPacketConn:
		return &UnixConn{c.UnixConn, newGate(c.UnixConn, bound)}, nil // whose path is removed by the last generation only
	case *net.IPConn:
		return &IPConn{c, newGate(c, bound)}, nil
	default:
		return nil, fmt.Errorf("packets of %T: %w", conn, errors.ErrUnsupported)
	}
}

// A UDPConn is a UDP socket that [Service.ListenPacket] returned. It is a *net.UDPConn, of which several goroutines may use all
// methods, and this is the difference:
//
// A read waits, but for its deadline, until this process is to serve; that is in Run, when it has no predecessor or that lets it.
// From when the process drains, reads fail at once with an error that matches net.ErrClosed and [ErrLeaving], whatever
// deadline is set. No datagram is lost by that: a read either returns one, or leaves it in the kernel to the next process. The same
// is true of what SyscallConn returns.
//
// A library that asks by a type assertion whether it has a *net.UDPConn finds that it has none, and may leave something out:
// miekg/dns then answers from an address of the kernel's choice, on a machine with several, see
// [github.com/heirloom-go/heirloom/examples/dns].
//
// The Service closes it when Run ends. One that is closed before cannot be handed over, so that reloads fail.
type UDPConn struct {
	*net.UDPConn
	gate *gate
}

var _ packetSocket = (*UDPConn)(nil)

func (c *UDPConn) packetGate() *gate { return c.gate }

// Read is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) Read(p []byte) (n int, err error) {
	if err = c.gate.enter(); err == nil {
		n, err = c.UDPConn.Read(p)
	}
	return n, c.gate.leave(err)
}

// ReadFrom is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFrom(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadFromUDP is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) ReadFromUDP(p []byte) (n int, addr *net.UDPAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFromUDP(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadFromUDPAddrPort is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) ReadFromUDPAddrPort(p []byte) (n int, addr netip.AddrPort, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFromUDPAddrPort(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadMsgUDP is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDP(p, oob)
	}
	return n, oobn, flags, addr, c.gate.leave(err)
}

// ReadMsgUDPAddrPort is that of net.UDPConn; see [UDPConn] for when it waits and fails.
func (c *UDPConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if err = c.gate.enter(); err == nil {
		n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDPAddrPort(p, oob)
	}
	return n, oobn, flags, addr, c.gate.leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *UDPConn) SetDeadline(t time.Time) error { return c.gate.setDeadline(t) }

// SetReadDeadline is that of net.UDPConn until the process drains; then it does nothing.
func (c *UDPConn) SetReadDeadline(t time.Time) error { return c.gate.setReadDeadline(t) }

// SyscallConn is that of net.UDPConn; see [UDPConn] for when its Read waits and fails.
func (c *UDPConn) SyscallConn() (syscall.RawConn, error) {
	return c.gate.rawConn(c.UDPConn.SyscallConn())
}

// Close closes the socket for this process.
func (c *UDPConn) Close() error { return c.gate.close() }

// A UnixConn is a Unix datagram socket that [Service.ListenPacket] returned. It is to *net.UnixConn what [UDPConn] is to
// *net.UDPConn. CloseRead and CloseWrite must not be called: they shut the socket down for all generations.
type UnixConn struct {
	*net.UnixConn
	gate *gate
}

var _ packetSocket = (*UnixConn)(nil)

func (c *UnixConn) packetGate() *gate { return c.gate }

// Read is that of net.UnixConn; see [UDPConn] for when it waits and fails.
func (c *UnixConn) Read(p []byte) (n int, err error) {
	if err = c.gate.enter(); err == nil {
		n, err = c.UnixConn.Read(p)
	}
	return n, c.gate.leave(err)
}

// ReadFrom is that of net.UnixConn; see [UDPConn] for when it waits and fails.
func (c *UnixConn) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.UnixConn.ReadFrom(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadFromUnix is that of net.UnixConn; see [UDPConn] for when it waits and fails.
func (c *UnixConn) ReadFromUnix(p []byte) (n int, addr *net.UnixAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.UnixConn.ReadFromUnix(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadMsgUnix is that of net.UnixConn; see [UDPConn] for when it waits and fails.
func (c *UnixConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, oobn, flags, addr, err = c.UnixConn.ReadMsgUnix(p, oob)
	}
	return n, oobn, flags, addr, c.gate.leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *UnixConn) SetDeadline(t time.Time) error { return c.gate.setDeadline(t) }

// SetReadDeadline is that of net.UnixConn until the process drains; then it does nothing.
func (c *UnixConn) SetReadDeadline(t time.Time) error { return c.gate.setReadDeadline(t) }

// SyscallConn is that of net.UnixConn; see [UDPConn] for when its Read waits and fails.
func (c *UnixConn) SyscallConn() (syscall.RawConn, error) {
	return c.gate.rawConn(c.UnixConn.SyscallConn())
}

// Close closes the socket for this process. Its path is removed as [Service.Listen] says.
func (c *UnixConn) Close() error { return c.gate.close() }

// An IPConn is a raw IP socket that [Service.ListenPacket] returned. It is to *net.IPConn what [UDPConn] is to *net.UDPConn.
type IPConn struct {
	*net.IPConn
	gate *gate
}

var _ packetSocket = (*IPConn)(nil)

func (c *IPConn) packetGate() *gate { return c.gate }

// Read is that of net.IPConn; see [UDPConn] for when it waits and fails.
func (c *IPConn) Read(p []byte) (n int, err error) {
	if err = c.gate.enter(); err == nil {
		n, err = c.IPConn.Read(p)
	}
	return n, c.gate.leave(err)
}

// ReadFrom is that of net.IPConn; see [UDPConn] for when it waits and fails.
func (c *IPConn) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.IPConn.ReadFrom(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadFromIP is that of net.IPConn; see [UDPConn] for when it waits and fails.
func (c *IPConn) ReadFromIP(p []byte) (n int, addr *net.IPAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, addr, err = c.IPConn.ReadFromIP(p)
	}
	return n, addr, c.gate.leave(err)
}

// ReadMsgIP is that of net.IPConn; see [UDPConn] for when it waits and fails.
func (c *IPConn) ReadMsgIP(p, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error) {
	if err = c.gate.enter(); err == nil {
		n, oobn, flags, addr, err = c.IPConn.ReadMsgIP(p, oob)
	}
	return n, oobn, flags, addr, c.gate.leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *IPConn) SetDeadline(t time.Time) error { return c.gate.setDeadline(t) }

// SetReadDeadline is that of net.IPConn until the process drains; then it does nothing.
func (c *IPConn) SetReadDeadline(t time.Time) error { return c.gate.setReadDeadline(t) }

// SyscallConn is that of net.IPConn; see [UDPConn] for when its Read waits and fails.
func (c *IPConn) SyscallConn() (syscall.RawConn, error) {
	return c.gate.rawConn(c.IPConn.SyscallConn())
}

// Close closes the socket for this process.
func (c *IPConn) Close() error { return c.gate.close() }
