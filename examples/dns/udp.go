package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// packets answers the queries of a UDP socket until this process is to read no
// more of it. Then it finishes those that it has read, and the next generation
// reads on: the socket, and the queue of queries in it, is the same.
func (s *server) packets(conn net.PacketConn) error {
	return (&dns.Server{PacketConn: conn, UDPSize: udpSize, Handler: dns.HandlerFunc(s.packet)}).ActivateAndServe()
}

// packet answers one query.
func (s *server) packet(w dns.ResponseWriter, query *dns.Msg) {
	m := s.answer(query)
	if m == nil {
		return
	}
	size := dns.MinMsgSize
	if edns := query.IsEdns0(); edns != nil {
		size = min(max(size, int(edns.UDPSize())), udpSize)
	}
	m.Truncate(size)
	_ = w.WriteMsg(m) // a client that did not get it asks again
}

// A wildcardConn is a socket for all addresses of a machine. It answers from
// the one that was asked, since clients take no answer from another.
type wildcardConn struct {
	*lifecycle.UDPConn
}

// An origin is a client's address, and what has an answer sent from where the
// client asked.
type origin struct {
	*net.UDPAddr
	control []byte
}

// answerFromWhereAsked returns a conn that does so, which is conn itself where
// the kernel sees to it.
func answerFromWhereAsked(conn net.PacketConn) (net.PacketConn, error) {
	c, ok := conn.(*lifecycle.UDPConn)
	if !ok { // in a dry run whose sandbox forbids UDP: nothing is ever asked
		return conn, nil
	}
	if !c.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
		return c, nil
	}
	// A socket has one of the families, or both.
	err4 := ipv4.NewPacketConn(c.UDPConn).SetControlMessage(ipv4.FlagDst, true)
	err6 := ipv6.NewPacketConn(c.UDPConn).SetControlMessage(ipv6.FlagDst, true)
	if err4 != nil && err6 != nil {
		return nil, fmt.Errorf("socket %s: ask for the address of each query: %w", c.LocalAddr(), errors.Join(err4, err6))
	}
	return wildcardConn{c}, nil
}

// ReadFrom reads a query.
func (c wildcardConn) ReadFrom(p []byte) (int, net.Addr, error) {
	var oob [128]byte
	n, oobn, _, addr, err := c.ReadMsgUDP(p, oob[:])
	if err != nil {
		return n, nil, err
	}
	return n, origin{addr, sourceOf(oob[:oobn])}, nil
}

// WriteTo writes an answer to an address that ReadFrom returned.
func (c wildcardConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	to, ok := addr.(origin)
	if !ok {
		return c.UDPConn.WriteTo(p, addr)
	}
	n, _, err := c.WriteMsgUDP(p, to.control, to.UDPAddr)
	return n, err
}

// sourceOf returns the control message that sends from the address at which the
// message with this one came in.
func sourceOf(oob []byte) []byte {
	var in6 ipv6.ControlMessage
	if in6.Parse(oob) == nil && in6.Dst != nil && in6.Dst.To4() == nil {
		return (&ipv6.ControlMessage{Src: in6.Dst}).Marshal()
	}
	if in6.Dst != nil { // that of IPv4, on a socket of both families
		return (&ipv4.ControlMessage{Src: in6.Dst.To4()}).Marshal()
	}
	var in4 ipv4.ControlMessage
	if in4.Parse(oob) == nil && in4.Dst != nil {
		return (&ipv4.ControlMessage{Src: in4.Dst}).Marshal()
	}
	return nil
}
