package conntrack

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A Session is the Raw of a connection of TLS that may move. What is read and
// written is what both ends mean, and the descriptor is the socket's.
type Session struct {
	*tlsmove.Conn
	Socket net.Conn // a *net.TCPConn, *net.UnixConn or *around.Conn
}

// SyscallConn is the socket's.
func (s *Session) SyscallConn() (syscall.RawConn, error) {
	return s.Socket.(syscall.Conn).SyscallConn()
}

// Close closes the socket for this process, at once: it may live on in another
// process, and a close_notify would end it there. Close of Conn sends one.
func (s *Session) Close() error { return s.Socket.Close() }

// Beneath returns the socket, or the program's wrapper of it.
func (s *Session) Beneath() net.Conn { return s.Socket }

// AdoptionLimit is for how long the program may think about a session that has
// arrived, if it has no other limit for that.
const AdoptionLimit = 10 * time.Second

// ErrUndecided is the cause when it thinks for longer.
var ErrUndecided = errors.New("the functions of TLSConfig do not return")

// A secured is the Session of a conn.
type secured struct {
	Session
	stays atomic.Bool // it has proved unable to move
}

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
