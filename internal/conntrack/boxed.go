package conntrack

import (
	"crypto/tls"
	"net"
	"reflect"
)

// A boxedConn is a connection that we could not wrap and that cannot be a key:
// a struct, rather than a pointer to one, with a slice in it, say.
type boxedConn struct {
	net.Conn
	known *conn
}

// A boxedTLS is one that net/http asks for its TLS.
type boxedTLS struct {
	*boxedConn
	connectionStater
}

type connectionStater interface {
	ConnectionState() tls.ConnectionState
}

// box returns nc, or nc in a box, by which it can be told from others.
func box(nc net.Conn, c *conn) net.Conn {
	if reflect.ValueOf(nc).Comparable() {
		return nc
	}
	b := &boxedConn{nc, c}
	if stater, ok := nc.(connectionStater); ok {
		return &boxedTLS{b, stater}
	}
	return b
}

func (b *boxedConn) tracked() *conn { return b.known }

func (b *boxedConn) inner() net.Conn { return b.Conn }

func (b *boxedConn) Close() error {
	if b.known.closed.Swap(true) {
		return net.ErrClosed
	}
	return Close(b.known)
}

// CloseWrite is for a server that has refused a request.
func (b *boxedConn) CloseWrite() error {
	if half, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
