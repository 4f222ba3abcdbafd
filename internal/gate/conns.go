package gate

import (
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Of returns the gate of a [UDP], [Unix] or [IP] socket, or of a wrapper of one
// embedded, and nil if socket is another one.
func Of(socket any) *Gate {
	if s, ok := socket.(interface{ packetGate() *Gate }); ok {
		return s.packetGate()
	}
	return nil
}

// A UDP is a UDP socket with a gate: a *net.UDPConn whose methods go by it. It
// is made to be embedded in a type that has nothing else, and owns the socket.
type UDP struct {
	*net.UDPConn
	gate *Gate
}

// NewUDP returns a socket whose gate is that of [New].
func NewUDP(socket *net.UDPConn, shut error, remove func()) UDP {
	return UDP{socket, New(socket, shut, remove)}
}

func (c *UDP) packetGate() *Gate { return c.gate }

// Read is that of net.UDPConn, and goes by the gate.
func (c *UDP) Read(p []byte) (n int, err error) {
	if err = c.gate.Enter(); err == nil {
		n, err = c.UDPConn.Read(p)
	}
	return n, c.gate.Leave(err)
}

// ReadFrom is that of net.UDPConn, and goes by the gate.
func (c *UDP) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFrom(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadFromUDP is that of net.UDPConn, and goes by the gate.
func (c *UDP) ReadFromUDP(p []byte) (n int, addr *net.UDPAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFromUDP(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadFromUDPAddrPort is that of net.UDPConn, and goes by the gate.
func (c *UDP) ReadFromUDPAddrPort(p []byte) (n int, addr netip.AddrPort, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.UDPConn.ReadFromUDPAddrPort(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadMsgUDP is that of net.UDPConn, and goes by the gate.
func (c *UDP) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDP(p, oob)
	}
	return n, oobn, flags, addr, c.gate.Leave(err)
}

// ReadMsgUDPAddrPort is that of net.UDPConn, and goes by the gate.
func (c *UDP) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if err = c.gate.Enter(); err == nil {
		n, oobn, flags, addr, err = c.UDPConn.ReadMsgUDPAddrPort(p, oob)
	}
	return n, oobn, flags, addr, c.gate.Leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *UDP) SetDeadline(t time.Time) error { return c.gate.SetDeadline(t) }

// SetReadDeadline is that of net.UDPConn until the gate is shut; then it does
// nothing.
func (c *UDP) SetReadDeadline(t time.Time) error { return c.gate.SetReadDeadline(t) }

// SyscallConn is that of net.UDPConn, but its Read goes by the gate.
func (c *UDP) SyscallConn() (syscall.RawConn, error) {
	return c.gate.RawConn(c.UDPConn.SyscallConn())
}

// Close closes the socket for this process.
func (c *UDP) Close() error { return c.gate.Close() }

// A Unix is a Unix datagram socket with a gate, as [UDP] is one of UDP.
type Unix struct {
	*net.UnixConn
	gate *Gate
}

// NewUnix returns a socket whose gate is that of [New].
func NewUnix(socket *net.UnixConn, shut error, remove func()) Unix {
	return Unix{socket, New(socket, shut, remove)}
}

func (c *Unix) packetGate() *Gate { return c.gate }

// Read is that of net.UnixConn, and goes by the gate.
func (c *Unix) Read(p []byte) (n int, err error) {
	if err = c.gate.Enter(); err == nil {
		n, err = c.UnixConn.Read(p)
	}
	return n, c.gate.Leave(err)
}

// ReadFrom is that of net.UnixConn, and goes by the gate.
func (c *Unix) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.UnixConn.ReadFrom(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadFromUnix is that of net.UnixConn, and goes by the gate.
func (c *Unix) ReadFromUnix(p []byte) (n int, addr *net.UnixAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.UnixConn.ReadFromUnix(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadMsgUnix is that of net.UnixConn, and goes by the gate.
func (c *Unix) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, oobn, flags, addr, err = c.UnixConn.ReadMsgUnix(p, oob)
	}
	return n, oobn, flags, addr, c.gate.Leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Unix) SetDeadline(t time.Time) error { return c.gate.SetDeadline(t) }

// SetReadDeadline is that of net.UnixConn until the gate is shut; then it does
// nothing.
func (c *Unix) SetReadDeadline(t time.Time) error { return c.gate.SetReadDeadline(t) }

// SyscallConn is that of net.UnixConn, but its Read goes by the gate.
func (c *Unix) SyscallConn() (syscall.RawConn, error) {
	return c.gate.RawConn(c.UnixConn.SyscallConn())
}

// Close closes the socket for this process, and removes its path as
// [Gate.Close] says.
func (c *Unix) Close() error { return c.gate.Close() }

// An IP is a raw IP socket with a gate, as [UDP] is one of UDP.
type IP struct {
	*net.IPConn
	gate *Gate
}

// NewIP returns a socket whose gate is that of [New].
func NewIP(socket *net.IPConn, shut error, remove func()) IP {
	return IP{socket, New(socket, shut, remove)}
}

func (c *IP) packetGate() *Gate { return c.gate }

// Read is that of net.IPConn, and goes by the gate.
func (c *IP) Read(p []byte) (n int, err error) {
	if err = c.gate.Enter(); err == nil {
		n, err = c.IPConn.Read(p)
	}
	return n, c.gate.Leave(err)
}

// ReadFrom is that of net.IPConn, and goes by the gate.
func (c *IP) ReadFrom(p []byte) (n int, addr net.Addr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.IPConn.ReadFrom(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadFromIP is that of net.IPConn, and goes by the gate.
func (c *IP) ReadFromIP(p []byte) (n int, addr *net.IPAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, addr, err = c.IPConn.ReadFromIP(p)
	}
	return n, addr, c.gate.Leave(err)
}

// ReadMsgIP is that of net.IPConn, and goes by the gate.
func (c *IP) ReadMsgIP(p, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error) {
	if err = c.gate.Enter(); err == nil {
		n, oobn, flags, addr, err = c.IPConn.ReadMsgIP(p, oob)
	}
	return n, oobn, flags, addr, c.gate.Leave(err)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *IP) SetDeadline(t time.Time) error { return c.gate.SetDeadline(t) }

// SetReadDeadline is that of net.IPConn until the gate is shut; then it does
// nothing.
func (c *IP) SetReadDeadline(t time.Time) error { return c.gate.SetReadDeadline(t) }

// SyscallConn is that of net.IPConn, but its Read goes by the gate.
func (c *IP) SyscallConn() (syscall.RawConn, error) {
	return c.gate.RawConn(c.IPConn.SyscallConn())
}

// Close closes the socket for this process.
func (c *IP) Close() error { return c.gate.Close() }
