package conntrack

import (
	"crypto/tls"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A Server follows the connections of an http.Server that serves one listener.
// The fields are set before Serve.
type Server struct {
	Endpoint

	HTTP *http.Server
	// TLS says that HTTP serves the listener with TLS.
	TLS bool
	// SaysGoAway says that HTTP/2 connections learn otherwise than by
	// Connection: close that they are to end.
	SaysGoAway bool
	// Hook is called with each new state, and what the listener accepted (see
	// Seen) or, with TLS, the *tls.Conn or, of a session that may move, a
	// *tlsmove.Conn. It may be nil.
	Hook func(net.Conn, http.ConnState)
	// Hidden is called with each connection that cannot move although others
	// can, since the program has put it around the one that was accepted, and
	// it does not show that. It may be nil.
	Hidden func(net.Conn)

	arrived  *MovedListener
	proven   bool      // see Rehearse
	sessions *sessions // see Secure
	foreign  sync.Map  // net.Conn to *conn: connections we could not wrap
}

// NewServer makes a Server of what listener accepts. Its connections cannot
// move as long as Movable is not set.
func NewServer(registry *Registry, listener net.Listener, name string) *Server {
	return &Server{
		Endpoint: Endpoint{Registry: registry, Listener: listener, Name: name},
		arrived:  NewMovedListener(listener.Addr()),
	}
}

// Serve serves what the listener accepts until it is closed, as HTTP's Serve or
// ServeTLS does.
func (s *Server) Serve() error {
	tracked := &trackingListener{s}
	switch {
	case s.TLS && s.sessions != nil && s.Movable:
		l := newSecureListener(s)
		defer l.end()
		return s.HTTP.Serve(l)
	case s.TLS:
		return s.HTTP.ServeTLS(tracked, "", "")
	default:
		return s.HTTP.Serve(tracked)
	}
}

// ServeArrived serves the connections of Receive, until Close. It is a second
// Serve of HTTP, so that nothing changes for those that the listener accepts.
func (s *Server) ServeArrived() { _ = s.HTTP.Serve(s.arrived) }

// Close ends ServeArrived. It leaves the connections as they are.
func (s *Server) Close() { _ = s.arrived.Close() }

// A trackingListener follows each connection from its very Accept.
type trackingListener struct{ server *Server }

var _ net.Listener = (*trackingListener)(nil)

func (l *trackingListener) Accept() (net.Conn, error) {
	nc, err := l.server.Listener.Accept()
	if err != nil {
		return nil, err
	}
	nc, _ = l.server.track(nc, l.server.Movable, l.server.TLS)
	return nc, nil
}

func (l *trackingListener) Addr() net.Addr { return l.server.Listener.Addr() }

// Close is called by the end of a Serve: after a panic of BaseContext that is
// at any time.
func (l *trackingListener) Close() error {
	if l.server.Owner != nil {
		_ = l.server.Owner.Close()
	}
	return l.server.Listener.Close()
}

// Receive takes ownership of a connection that another process has accepted,
// for ServeArrived. w is how long the connection has waited there.
func (s *Server) Receive(nc net.Conn, w Wait) { s.receive(nc, s.Movable, w) }

func (s *Server) receive(nc net.Conn, movable bool, w Wait) {
	wrapped, c := s.track(nc, movable, false)
	if t, ok := c.Raw.(*net.TCPConn); ok && c.mark != nil {
		c.mark.BeginAt(t)
		s.Registry.keepArrived(c)
	}
	c.arrival = newArrival(w, c.hasRequest)
	s.arrived.Push(wrapped)
}

// ConnState is told by HTTP of each new state: it is the http.Server's own
// ConnState.
func (s *Server) ConnState(nc net.Conn, state http.ConnState) {
	if c := s.find(nc); c != nil {
		if state == http.StateActive {
			s.judgeProtocol(c, nc)
		}
		c.changed(state)
		if c.foreign && state == http.StateIdle {
			c.lingerForeign()
		}
		if state == http.StateClosed || state == http.StateHijacked {
			s.forget(nc, c)
		}
	}
	if s.Hook != nil {
		s.Hook(Seen(nc), state)
	}
}

// IsHTTP2 is told of a connection that it is HTTP/2, before its first request.
func (s *Server) IsHTTP2(nc net.Conn, streams HTTP2Streams) {
	if c := s.find(nc); c != nil {
		c.http2.Store(&streams)
	}
}

// HandTo is Remove for a connection that was hijacked, whose new owner knows it
// by other.
func (s *Server) HandTo(nc net.Conn, other *Info) {
	if c := s.find(nc); c != nil {
		other.mark = c.mark
		s.Registry.Remove(c)
	}
}

// ReceiveKept takes ownership of a connection that outlived the process which
// accepted it, for ServeArrived. It reports false, and takes nothing, if the
// connections of s cannot move.
func (s *Server) ReceiveKept(f *ledger.Found) bool {
	if !s.Movable || s.TLS {
		return false
	}
	wrapped, c := s.track(f.Conn, true, false)
	if c.mark == nil {
		s.Registry.Remove(c)
		return false
	}
	c.arrival = newArrival(Wait{First: f.IsNew()}, c.hasRequest)
	f.Keep(c.mark)
	s.arrived.Push(wrapped)
	return true
}

// MayBeKept reports whether what s accepts may be kept in a ledger.
func (s *Server) MayBeKept() bool {
	_, tcp := s.Listener.Addr().(*net.TCPAddr)
	return tcp && s.Movable && !s.TLS && !s.Control
}

// find returns the conn of a connection that the http.Server speaks of.
func (s *Server) find(nc net.Conn) *conn {
	switch t := nc.(type) {
	case interface{ tracked() *conn }:
		return t.tracked()
	case *tls.Conn:
		if c := s.find(tlsmove.Under(t)); c != nil {
			return c
		}
	}
	if !reflect.ValueOf(nc).Comparable() { // one that is under a *tls.Conn of the program's
		return nil
	}
	if c, ok := s.foreign.Load(nc); ok {
		return c.(*conn)
	}
	return nil
}

// track makes a connection, accepted here or moved here, one that can be
// drained.
func (s *Server) track(nc net.Conn, movable, encrypted bool) (net.Conn, *conn) {
	var c *conn
	if movable && !encrypted {
		nc = around.See(nc)
	}
	switch raw := nc.(type) {
	case *net.TCPConn:
		nc, c = newTCP(raw, movable && !encrypted && !s.Control, s.Registry.countsWritten.Load())
	case *net.UnixConn:
		u := &unixConn{UnixConn: raw}
		nc, c = u, &u.conn
	case *around.Conn:
		nc, c = newThrough(raw)
	default:
		if movable && s.Hidden != nil {
			s.Hidden(nc)
		}
		c, movable = &conn{foreign: true}, false
		c.heard.set(time.Now())
		if nc = box(nc, c); nc == raw {
			s.foreign.Store(nc, c)
		}
	}
	c.Raw, c.Endpoint, c.server, c.movable, c.tls = Underlying(nc), &s.Endpoint, s, movable, encrypted
	c.noteHeard()
	s.Registry.Add(c)
	return nc, c
}

// forget drops a connection that we could not wrap and whose Close we therefore
// did not see. With TLS the http.Server speaks of what is around it.
func (s *Server) forget(nc net.Conn, c *conn) {
	if _, ok := s.foreign.LoadAndDelete(nc); ok {
		s.Registry.Remove(c)
	} else if t, ok := nc.(*tls.Conn); ok && c.foreign {
		s.forget(tlsmove.Under(t), c)
	}
}

func (s *Server) isProven() bool { return s.proven }

// handshakeTimeout is that of net/http (Server.tlsHandshakeTimeout).
func (s *Server) handshakeTimeout() (limit time.Duration) {
	for _, d := range []time.Duration{s.HTTP.ReadHeaderTimeout, s.HTTP.ReadTimeout, s.HTTP.WriteTimeout} {
		if d > 0 && (limit == 0 || d < limit) {
			limit = d
		}
	}
	return limit
}

func (s *Server) headerTimeout() time.Duration {
	if s.HTTP.ReadHeaderTimeout != 0 {
		return s.HTTP.ReadHeaderTimeout
	}
	return s.HTTP.ReadTimeout
}

func (s *Server) idleTimeout() time.Duration {
	if s.HTTP.IdleTimeout != 0 {
		return s.HTTP.IdleTimeout
	}
	return s.HTTP.ReadTimeout
}
