package streams

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// handshakeLimit is how long a client may take for its handshake, and
// handshakePatience how long from when a drain begins. Tests are less patient.
var (
	handshakeLimit    = time.Minute
	handshakePatience = conntrack.DefaultSilence
)

// Secure is how a Server makes sessions of TLS.
type secure struct {
	config *tls.Config // for connections that arrive
	tapped *tls.Config // for those that are accepted, nil if no session moves
}

// Secure has the connections that s serves be sessions of TLS, by config. Those
// of TLS 1.3 move if Movable is set. It is called before Serve.
func (s *Server) Secure(config *tls.Config) {
	s.Kind = conntrack.SecureStreams
	s.secure = &secure{config: config}
	if s.Movable {
		s.secure.tapped = tlsmove.Config(config)
	}
}

// underneath returns what a Conn is made of, of a connection that was hijacked.
func underneath(nc net.Conn) net.Conn {
	if moves, on := conntrack.SessionOf(nc); moves != nil {
		return &conntrack.Session{Conn: moves, Socket: on}
	}
	return conntrack.Underlying(nc)
}

// A newcomer is a connection whose session is being made.
type newcomer struct {
	conntrack.Info
	mu     sync.Mutex
	urged  bool // a drain waits for it
	served bool // the deadline is not the newcomer's any more
}

var _ conntrack.Conn = (*newcomer)(nil)

// Release leaves a client that began with a handshake time to complete it.
func (n *newcomer) Release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Endpoint.Phase() != conntrack.Serving && !n.served && !n.urged {
		n.urged = true
		_ = n.Raw.SetDeadline(time.Now().Add(handshakePatience))
	}
}

// Restore does nothing: a newcomer is never passed on.
func (n *newcomer) Restore(bool) {}

// newcomer makes one, with a deadline for its handshake.
func (s *Server) newcomer(nc net.Conn) *newcomer {
	n := &newcomer{Info: conntrack.Info{Raw: nc, Endpoint: &s.Endpoint, Handshake: true}}
	_ = nc.SetDeadline(time.Now().Add(handshakeLimit))
	s.Registry.Add(n)
	n.Release() // a drain may have begun
	return n
}

// greet makes the session of a connection that was accepted.
func (s *Server) greet(nc net.Conn) {
	make := s.plainly
	if s.secure.tapped != nil {
		nc = around.See(nc)
		if _, ok := nc.(*around.Conn); ok || isSocket(nc) {
			make = s.tapped
		} else {
			s.Registry.SessionStays(&tlsmove.Refusal{Reason: tlsmove.Wrapped})
			s.Hidden(nc)
		}
	}
	go s.shakeHands(s.newcomer(nc), make)
}

// shakeHands has what make makes of a newcomer served.
func (s *Server) shakeHands(n *newcomer, make func(net.Conn) (net.Conn, error)) {
	defer s.survive(n)
	_ = n.Raw.RemoteAddr() // before anything is read: what is around it may wait for a header
	raw, err := make(n.Raw)
	if err != nil {
		s.Log.Debug("no session of TLS", "listener", s.Name, "from", conntrack.RemoteAddr(n.Raw).String(), "error", err)
		_ = conntrack.Close(n)
		return
	}
	s.serve(n, raw, nil, nil)
}

// plainly makes a session that stays.
func (s *Server) plainly(nc net.Conn) (net.Conn, error) {
	made := tls.Server(nc, s.secure.config)
	return made, made.HandshakeContext(context.Background())
}

// tapped makes a session that moves if it can.
func (s *Server) tapped(nc net.Conn) (net.Conn, error) {
	made := tlsmove.Server(nc, s.secure.tapped)
	if err := made.HandshakeContext(context.Background()); err != nil {
		return nil, err
	}
	if err := made.Judge(); err != nil {
		s.Registry.SessionStays(err)
		return made.Standard(), nil
	}
	return &conntrack.Session{Conn: made, Socket: nc}, nil
}

// welcome adopts the session of a connection that was handed over. It does not
// wait for the program's callbacks, which decide about the session again.
func (s *Server) welcome(nc net.Conn, left []byte) {
	n := s.newcomer(nc)
	go s.resume(n, left, func(exported []byte) (*tlsmove.Conn, error) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), conntrack.AdoptionLimit, conntrack.ErrUndecided)
		defer cancel()
		adopted, err := tlsmove.Adopt(ctx, nc, exported, s.secure.config)
		if err == nil {
			s.Registry.SessionArrived()
		}
		return adopted, err
	})
}

// reclaim has a session served here again that was exported, and whose state
// was not sent.
func (s *Server) reclaim(old *conntrack.Session, left []byte) {
	go s.resume(s.newcomer(old.Socket), left, old.Reclaim)
}

// resume has what goOn makes of an exported session served.
func (s *Server) resume(n *newcomer, left []byte, goOn func(exported []byte) (*tlsmove.Conn, error)) {
	defer s.survive(n)
	p, err := decodeParcel(left)
	if err == nil {
		var resumed *tlsmove.Conn
		if resumed, err = goOn(p.session); err == nil {
			s.serve(n, &conntrack.Session{Conn: resumed, Socket: n.Raw}, p.state, p.unread)
			return
		}
	}
	clear(left)
	s.Registry.SessionStays(err)
	s.logRefused(n, err)
	_ = conntrack.Close(n)
}

// logRefused tells the program of what is its own doing.
func (s *Server) logRefused(n *newcomer, err error) {
	var panicked *tlsmove.PanicError
	from := conntrack.RemoteAddr(n.Raw).String()
	switch {
	case errors.As(err, &panicked):
		s.Log.Error("panic of a callback of TLSConfig", "listener", s.Name, "from", from, "panic", panicked.Value, "stack", string(panicked.Stack))
	case errors.Is(err, conntrack.ErrUndecided):
		s.Log.Warn("a session of TLS does not go on", "listener", s.Name, "from", from, "error", err)
	default:
		s.Log.Debug("a session of TLS does not go on", "listener", s.Name, "from", from, "error", err)
	}
}

// serve has the handler called, in the goroutine that made the session.
func (s *Server) serve(n *newcomer, raw net.Conn, state, unread []byte) {
	n.mu.Lock()
	n.served = true
	_ = n.Raw.SetDeadline(time.Time{})
	n.mu.Unlock()
	c := s.add(raw, state, unread)
	s.Registry.Remove(n)
	s.handle(c)
}

// survive closes a connection on which the program's callbacks have panicked.
func (s *Server) survive(n *newcomer) {
	if r := recover(); r != nil {
		s.Log.Error("panic of a callback of TLSConfig", "listener", s.Name, "panic", r, "stack", string(debug.Stack()))
		_ = conntrack.Close(n)
	}
}
