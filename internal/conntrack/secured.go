package conntrack

import (
	"net"
	"sync/atomic"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A secured is the Raw of a connection of TLS that may move. What is read and
// written is what client and server mean, and the descriptor is the socket's.
type secured struct {
	*tlsmove.Conn
	socket net.Conn    // a *net.TCPConn, *net.UnixConn or *around.Conn
	stays  atomic.Bool // it has proved unable to move
}

// SyscallConn is the socket's.
func (s *secured) SyscallConn() (syscall.RawConn, error) {
	return s.socket.(syscall.Conn).SyscallConn()
}

// Close closes the socket for this process, at once: it may live on in another
// process, and a close_notify would end it there. conn.close sends one where it
// does not.
func (s *secured) Close() error { return s.socket.Close() }

// Beneath returns the socket, or the program's wrapper of it.
func (s *secured) Beneath() net.Conn { return s.socket }

// aroundOf returns the program's wrapper of the socket of a connection,
// nil if nothing.
func aroundOf(raw net.Conn) *around.Conn {
	switch t := raw.(type) {
	case *around.Conn:
		return t
	case interface{ Beneath() net.Conn }: // a session of TLS
		return aroundOf(t.Beneath())
	default:
		return nil
	}
}

// accepted returns what the listener has accepted, of the Raw of a connection
// without TLS.
func accepted(raw net.Conn) net.Conn {
	if t, ok := raw.(*around.Conn); ok {
		return t.Conn
	}
	return raw
}
