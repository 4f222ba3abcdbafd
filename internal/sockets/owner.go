package sockets

import (
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"sync"

	"github.com/heirloom-go/heirloom/internal/around"
)

// Owner returns the Socket of a listener or packet socket, or of what the
// program has put around it, nil if there is none.
//
// What is around a listener is known by its address: it returns what ours does,
// the same pointer, unless it has an Addr of its own. A method of ours that
// tells the name would not come through: what embeds a net.Listener has the
// methods of net.Listener alone.
func (s *Set) Owner(socket any) *Socket {
	for _, k := range s.all {
		if k.socket == socket {
			return k
		}
	}
	address := addressOf(socket)
	for _, k := range s.all {
		if address != nil && addressOf(k.socket) == address {
			return k
		}
	}
	return nil
}

func addressOf(socket any) net.Addr {
	switch t := socket.(type) {
	case net.Listener:
		return t.Addr()
	case net.PacketConn:
		return t.LocalAddr()
	default:
		return nil
	}
}

// NameOf returns the name by which the socket was asked for, "" if it is none
// of the Set.
func (s *Set) NameOf(socket any) string {
	if k := s.Owner(socket); k != nil {
		return k.name
	}
	return ""
}

// NameToMove is NameOf for a server of connections that may move, "" if none
// can.
func (s *Set) NameToMove(outer net.Listener) string {
	k := s.Owner(outer)
	if k == nil {
		for _, hidden := range s.all {
			if a := addressOf(hidden.socket); a != nil && a.String() == outer.Addr().String() {
				s.logHidden(hidden.name, outer)
			}
		}
		return ""
	}
	if hasTLS(outer) {
		s.logHidden(k.name, outer)
		return ""
	}
	return k.name
}

// logHidden says that connections will not move, which would else be so without
// a word. around is the program's wrapper of a listener or a connection.
func (s *Set) logHidden(name string, around any) {
	s.log.Info("the listener was wrapped: its connections do not move", "name", name, "type", fmt.Sprintf("%T", around))
}

// HiddenOnce returns a function to be called with each connection of a listener
// that cannot move although others can.
func (s *Set) HiddenOnce(name string) func(net.Conn) {
	var once sync.Once
	return func(nc net.Conn) { once.Do(func() { s.logHidden(name, nc) }) }
}

var tlsListener = reflect.TypeOf(tls.NewListener(nil, nil))

// hasTLS reports whether there is TLS among what is around a listener. Then
// plain connections must not come here either.
func hasTLS(l net.Listener) bool {
	for ; l != nil; l = around.Layer(l) {
		if reflect.TypeOf(l) == tlsListener {
			return true
		}
	}
	return false
}
