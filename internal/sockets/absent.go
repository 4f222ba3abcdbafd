package sockets

import (
	"net"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// standIn returns a packet socket for a dry run in the place of one that cannot
// be bound. Where it can be it is of the type that the program expects: then it
// is bound elsewhere, where nobody knows of it.
func standIn(want handover.Bound) net.PacketConn {
	elsewhere := []string{"127.0.0.1:0", "[::1]:0", "127.0.0.1", "::1"} // the latter of raw IP
	if want.Network == "unixgram" {
		elsewhere = []string{""} // an abstract name of the kernel's choice
	}
	for _, address := range elsewhere {
		if c, err := activation.BindPacket(want.Network, address); err == nil {
			return c
		}
	}
	return newAbsent(askedPacketAddr(want))
}

// askedPacketAddr is the address of a packet socket that could not be bound.
func askedPacketAddr(want handover.Bound) net.Addr {
	if udp, err := net.ResolveUDPAddr(want.Network, want.Address); err == nil {
		return udp
	}
	return &net.UnixAddr{Net: want.Network, Name: want.Address}
}

// An absent is a packet socket that is none: nothing is ever received there, and
// what is sent is lost.
type absent struct {
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

func newAbsent(addr net.Addr) *absent { return &absent{addr: addr, closed: make(chan struct{})} }

// ReadFrom waits for Close.
func (a *absent) ReadFrom([]byte) (int, net.Addr, error) {
	<-a.closed
	return 0, nil, net.ErrClosed
}

// WriteTo sends nothing.
func (a *absent) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }

// Close ends ReadFrom.
func (a *absent) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}

// LocalAddr returns the address that was asked for.
func (a *absent) LocalAddr() net.Addr { return a.addr }

// SetDeadline does nothing, as the others do.
func (a *absent) SetDeadline(time.Time) error      { return nil }
func (a *absent) SetReadDeadline(time.Time) error  { return nil }
func (a *absent) SetWriteDeadline(time.Time) error { return nil }
