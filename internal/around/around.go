// Package around looks through what a program has put around a listener, and
// around each connection of it, down to the socket that may move to another
// process.
package around

import (
	"crypto/tls"
	"net"
	"reflect"
	"sync/atomic"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// A Conn is a connection of a listener that the program has put around ours,
// to count or to limit its connections, say. Under it is the socket, which is
// what another process gets. Close closes the program's connection, which so
// learns that the client has gone, to this process.
//
// That the program's connection has a socket under it is not enough to move it:
// a TLS session, or the header of a proxy, would be lost. So each byte that has
// left the kernel must have come out of Read, unless something is held back or
// changed, and the address of the client must be the socket's own.
type Conn struct {
	net.Conn // the program's
	socket   *net.TCPConn
	given    atomic.Uint64 // bytes that Read has returned
	sameAddr atomic.Bool   // RemoteAddr has returned that of the socket
	passed   atomic.Bool
}

// maxLayers is how many connections may be around a socket.
const maxLayers = 16

// See returns nc as a Conn if the program has put it around a TCP socket, as
// far as can be seen, and nc itself if not. A connection shows what is under it
// by a method NetConn, as a *tls.Conn does, or by being a struct that embeds
// it.
func See(nc net.Conn) net.Conn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn, *Conn:
		return nc
	}
	if socket := socketUnder(nc); socket != nil {
		return &Conn{Conn: nc, socket: socket}
	}
	return nc
}

func socketUnder(nc net.Conn) *net.TCPConn {
	for range maxLayers {
		if socket, ok := nc.(*net.TCPConn); ok {
			return socket
		}
		if _, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
			return nil
		}
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if ok {
			nc = inner.NetConn()
		} else {
			nc, _ = embedded[net.Conn](nc)
		}
		if nc == nil {
			return nil
		}
	}
	return nil
}

// embedded returns the exported T that v, a struct or a pointer to one, embeds.
func embedded[T any](v any) (found T, ok bool) {
	s := reflect.ValueOf(v)
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		return found, false
	}
	for i := range s.NumField() {
		if f := s.Type().Field(i); f.Anonymous && f.IsExported() {
			if found, ok = s.Field(i).Interface().(T); ok {
				return found, true
			}
		}
	}
	return found, false
}

// Layer returns the listener that l, a listener of the program's, embeds, or
// nil.
func Layer(l net.Listener) net.Listener {
	inner, _ := embedded[net.Listener](l)
	return inner
}

// Read reads from the program's connection.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.given.Add(uint64(max(n, 0)))
	return n, err
}

// RemoteAddr returns the client's address as the program's connection has it.
// That may wait for the client to send it, which only the server can afford. It
// asks before it reads.
func (c *Conn) RemoteAddr() net.Addr {
	a := c.Conn.RemoteAddr()
	seen, ok := a.(*net.TCPAddr)
	own, _ := c.socket.RemoteAddr().(*net.TCPAddr)
	c.sameAddr.Store(ok && seen == own)
	return a
}

// SyscallConn is the socket's.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.socket.SyscallConn() }

// IsWhole reports whether the socket is all that there is of the connection.
func (c *Conn) IsWhole() bool {
	if !c.sameAddr.Load() {
		return false
	}
	taken, known := fdutil.Taken(c.socket)
	return known && taken == c.given.Load()
}

// IsMovable reports whether another process could go on with nc. It is for the
// goroutine that reads.
func IsMovable(nc net.Conn) bool {
	switch t := nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	case *Conn:
		return t.RemoteAddr() != nil && t.IsWhole()
	default:
		return false
	}
}

// Socket returns the socket, which waits for nobody.
func (c *Conn) Socket() *net.TCPConn { return c.socket }

// SetPassed notes that the connection was passed on: then it is not for the
// program's Close to be waited for.
func (c *Conn) SetPassed(passed bool) { c.passed.Store(passed) }

// IsPassed returns what SetPassed has set.
func (c *Conn) IsPassed() bool { return c.passed.Load() }
