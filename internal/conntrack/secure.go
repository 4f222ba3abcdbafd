package conntrack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// Secure has the connections of TLS that s accepts move: those of HTTP/1.1 over
// TLS 1.3. It is called before Serve. config is as net/http would have it,
// protocols included.
//
// The handshake is made here then, before net/http has the connection, which
// gets a *tls.Conn of those that cannot move, and of those whose handshake has
// failed. Of the others it gets a connection that is not a *tls.Conn. Callbacks
// of config find none of ConnContext's values in ClientHelloInfo.Context, and run
// in goroutines that make several handshakes.
func (s *Server) Secure(config *tls.Config) {
	s.Kind, s.Movable = HTTPS, true
	s.sessions = &sessions{config: config, tapped: tlsmove.Config(config)}
}

// Sessions are how a Server makes those of TLS.
type sessions struct {
	config *tls.Config // for connections that arrive
	tapped *tls.Config // for those that are accepted
	format sync.Once   // it was logged that some are of another format
}

// A secureConn is a connection of TLS that may move, as its http.Server sees
// it.
type secureConn struct {
	*tlsmove.Conn
	conn
}

func (c *secureConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *secureConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *secureConn) Close() error                      { return c.close() }
func (c *secureConn) RemoteAddr() net.Addr              { return RemoteAddr(c.Conn) }
func (c *secureConn) inner() net.Conn                   { return c.Conn }

// NetConn returns what the listener has accepted, as that of a *tls.Conn does.
func (c *secureConn) NetConn() net.Conn { return accepted(c.Raw.(*secured).Socket) }

// SessionOf returns the session of a connection that was taken from its
// http.Server, and what it is on: a socket, or an around.Conn. The session is
// nil if there is none that may move.
func SessionOf(nc net.Conn) (session *tlsmove.Conn, on net.Conn) {
	c, ok := nc.(*secureConn)
	if !ok {
		return nil, nil
	}
	return c.Conn, c.Raw.(*secured).Socket
}

// A below is what a session that is made here reads from: a connection that the
// Registry knows, until it is known that the session may move. From then on the
// Registry knows the session.
type below struct {
	net.Conn
	known *conn
}

func (b *below) tracked() *conn { return b.known }

// NetConn returns what is below, for the program's callbacks.
func (b *below) NetConn() net.Conn { return accepted(Underlying(b.Conn)) }

// A secureListener gives net/http the connections that Secure does not make
// sessions of. The others come by the MovedListener.
type secureListener struct {
	trackingListener
	accepted chan handshake // for a goroutine that has made one already
	waiting  atomic.Int32   // how many of these there are
	over     chan struct{}
}

// A handshake is to be made of a connection that was accepted.
type handshake struct {
	nc net.Conn
	c  *conn
}

const (
	// handshakers is how many goroutines at most wait for another handshake.
	// Their stacks have grown, which takes longer than the rest of what it costs
	// to have a goroutine.
	handshakers = 16
	// handshakerWait is for how long.
	handshakerWait = 5 * time.Second
)

func newSecureListener(s *Server) *secureListener {
	return &secureListener{trackingListener: trackingListener{s}, accepted: make(chan handshake), over: make(chan struct{})}
}

// end ends the goroutines that wait.
func (l *secureListener) end() { close(l.over) }

func (l *secureListener) Accept() (net.Conn, error) {
	s := l.server
	for {
		nc, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		wrapped, c := s.track(around.See(nc), false, true)
		if c.foreign {
			s.Registry.sessions.stay(tlsmove.Wrapped)
			if s.Hidden != nil {
				s.Hidden(nc)
			}
			return tls.Server(wrapped, s.sessions.config), nil
		}
		select {
		case l.accepted <- handshake{wrapped, c}:
		default:
			go l.shakeHands(handshake{wrapped, c})
		}
	}
}

// shakeHands makes a handshake, and others that come soon.
func (l *secureListener) shakeHands(h handshake) {
	for ok := true; ok; h, ok = l.next() {
		l.server.shakeHands(h.nc, h.c)
	}
}

// next waits for another handshake, unless enough goroutines do.
func (l *secureListener) next() (h handshake, ok bool) {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > handshakers {
		return h, false
	}
	wait := time.NewTimer(handshakerWait)
	defer wait.Stop()
	select {
	case h = <-l.accepted:
		return h, true
	case <-wait.C:
	case <-l.over:
	}
	return h, false
}

// shakeHands makes the session of a connection that was accepted. A panic of
// the program's callbacks is that of one connection, as in net/http.
func (s *Server) shakeHands(nc net.Conn, c *conn) {
	defer s.survive(c)
	_ = nc.RemoteAddr() // before anything is read, as net/http does: what is around it may wait for a header
	b := &below{nc, c}
	session := tlsmove.Server(b, s.sessions.tapped)
	if limit := s.handshakeTimeout(); limit > 0 {
		ends := time.Now().Add(limit)
		_ = nc.SetReadDeadline(ends)
		_ = nc.SetWriteDeadline(ends)
	}
	if err := session.HandshakeContext(context.Background()); err != nil {
		s.arrived.Push(session.Standard()) // which has the same error for net/http, to log and to tell the client
		return
	}
	_ = nc.SetReadDeadline(time.Time{})
	_ = nc.SetWriteDeadline(time.Time{})
	if err := s.judge(session); err != nil {
		s.Registry.sessions.stay(tlsmove.ReasonOf(err))
		s.arrived.Push(session.Standard())
		return
	}
	moves := s.follow(session, c, s.Movable, nil)
	b.Conn, b.known = c.Raw, s.find(moves) // nothing keeps c
	s.arrived.Push(moves)
}

// judge says why a session can never move. One of a protocol that HTTP does not
// speak itself is for a function of its TLSNextProto, or is closed: net/http
// looks at that only with a *tls.Conn (validNextProto in server.go).
func (s *Server) judge(session *tlsmove.Conn) error {
	switch protocol := session.ConnectionState().NegotiatedProtocol; protocol {
	case "", "http/1.1", "http/1.0", "h2":
		return session.Judge()
	default:
		return &tlsmove.Refusal{Reason: tlsmove.OtherProtocol, Err: fmt.Errorf("its protocol is %q", protocol)}
	}
}

// ReceiveSecure is Receive for a connection of TLS, with the state that its
// session has left the other process with, which it clears. It does not wait
// for the program's callbacks, which decide about the session again.
func (s *Server) ReceiveSecure(nc net.Conn, state []byte, w Wait) {
	_, c := s.track(nc, false, true)
	go s.adopt(c, state, w)
}

func (s *Server) adopt(c *conn, state []byte, w Wait) {
	defer s.survive(c)
	limit := s.handshakeTimeout()
	if limit == 0 {
		limit = AdoptionLimit
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, ErrUndecided)
	defer cancel()
	session, err := tlsmove.Adopt(ctx, c.Raw, state, s.sessions.config)
	if err != nil {
		s.refused(c, err)
		return
	}
	s.Registry.sessions.arrived.Add(1)
	s.arrived.Push(s.follow(session, c, s.Movable, &w))
}

// refused closes a connection whose session is not served here.
func (s *Server) refused(c *conn, err error) {
	s.Registry.sessions.stay(tlsmove.ReasonOf(err))
	var panicked *tlsmove.PanicError
	switch {
	case errors.As(err, &panicked): // as net/http
		s.logf("http: panic serving %v: %v\n%s", RemoteAddr(c.Raw), panicked.Value, panicked.Stack)
	case tlsmove.ReasonOf(err) == tlsmove.OtherFormat:
		s.sessions.format.Do(func() { s.logf("http: closing TLS sessions of another version of this program: %v", err) })
	case errors.Is(err, ErrUndecided):
		s.logf("http: TLS session of %v: %v", RemoteAddr(c.Raw), err)
	}
	_ = Close(c)
}

// reclaim has a session served here again that was exported, and whose state
// was not sent.
func (s *Server) reclaim(old *secured, state []byte, movable bool, w Wait) {
	_, c := s.track(old.Socket, false, true)
	go func() {
		session, err := old.Reclaim(state)
		if err != nil { // it is of this very process
			s.Registry.sessions.lost.Add(1)
			_ = Close(c)
			return
		}
		s.arrived.Push(s.follow(session, c, movable, &w))
	}()
}

// survive closes a connection on which the program's own functions have
// panicked, as net/http does.
func (s *Server) survive(c *conn) {
	if r := recover(); r != nil {
		s.logf("http: panic serving %v: %v\n%s", RemoteAddr(c.Raw), r, debug.Stack())
		_ = Close(c)
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.HTTP.ErrorLog != nil {
		s.HTTP.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// follow makes a session that may move one that can be drained, in place of c,
// the connection that it was made on. moved is its Wait if it has arrived.
func (s *Server) follow(session *tlsmove.Conn, c *conn, movable bool, moved *Wait) net.Conn {
	t := &secureConn{Conn: session}
	t.Raw, t.Endpoint, t.server = &secured{Session: Session{session, c.Raw}}, &s.Endpoint, s
	t.movable = movable
	t.noteHeard()
	if moved != nil {
		t.arrival = newArrival(*moved, t.hasRequest)
	}
	s.Registry.Add(&t.conn)
	s.Registry.Remove(c)
	return t
}
