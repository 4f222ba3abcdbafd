package conntrack

import (
	"net"
	"syscall"
)

// SocketOf finds the socket under a connection that says what is under it, as a
// *tls.Conn does. It returns nil if there is none.
func SocketOf(nc net.Conn) net.Conn {
	for {
		if _, ok := nc.(syscall.Conn); ok {
			return nc
		}
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = outer.NetConn()
	}
}
