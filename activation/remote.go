package activation

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// remote returns the other end's address from the variables, nil if the socket
// itself knows it or they are not set.
func (e *entry) remote(address, port string) (net.Addr, error) {
	if e.Peer != "" || address == "" {
		return nil, nil
	}
	if address[0] == '/' || address[0] == '@' {
		return &net.UnixAddr{Name: address, Net: e.Network}, nil
	}
	if cid, ok := strings.CutPrefix(address, "vsock:"); ok {
		return parseVsockAddr(cid + ":" + port)
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil, malformed(varRemoteAddr, address, "is no address")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, malformed(varRemotePort, port, "is no port")
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(n))), nil
}

// withRemote keeps all methods of the connection's own type and answers
// RemoteAddr from the variables.
func withRemote(conn net.Conn, remote net.Addr) net.Conn {
	switch c := conn.(type) {
	case *net.TCPConn:
		return &tcpConn{c, remote}
	case *net.UnixConn:
		return &unixConn{c, remote}
	case *VsockConn:
		c.remote = remote
	}
	return conn
}

type tcpConn struct {
	*net.TCPConn
	remote net.Addr
}

func (c *tcpConn) RemoteAddr() net.Addr { return c.remote }

type unixConn struct {
	*net.UnixConn
	remote net.Addr
}

func (c *unixConn) RemoteAddr() net.Addr { return c.remote }
