package streams

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A Server calls a handler for each connection of a listener. The fields are
// set before Serve.
type Server struct {
	conntrack.Endpoint

	// Handler is called in a goroutine of its own. When it returns the
	// connection is closed.
	Handler func(*Conn)
	// TLS is the configuration of the sessions that connections are; nil if they
	// are plain. MoveTLS says that sessions are to move, if they can.
	TLS     *tls.Config
	MoveTLS bool
	Log     hclog.Logger
	// Hidden is called with each connection that cannot move although others
	// can, see conntrack.Server.
	Hidden func(net.Conn)

	secure *secure // see Secure
}

// Prepare readies the server to serve. It is called before Serve.
func (s *Server) Prepare() error {
	if s.TLS == nil {
		return nil
	}
	if s.MoveTLS && s.Name != "" {
		if err := tlsmove.Usable(); err != nil {
			tlsmove.Warn(s.Log, s.Name, err)
		} else {
			s.Movable = true
		}
	}
	s.Secure(s.TLS)
	return nil
}

// There is nothing to do at the following: what moves here is served at once,
// and each connection is told when it is to leave.

// Drain does nothing.
func (s *Server) Drain() {}

// ServeArrived does nothing.
func (s *Server) ServeArrived() {}

// Close does nothing.
func (s *Server) Close() {}

// maxAcceptDelay bounds the wait before Accept is tried again when the process
// has too many open files, as in net/http.
const maxAcceptDelay = time.Second

// Serve serves what the listener accepts, until that is closed.
func (s *Server) Serve() error {
	delay := time.Duration(0)
	for {
		nc, err := s.Listener.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			delay = 0
			s.accepted(nc)
		case errors.As(err, &temporary) && temporary.Temporary():
			delay = min(max(2*delay, 5*time.Millisecond), maxAcceptDelay)
			s.Log.Warn("cannot accept for now", "listener", s.Name, "error", err, "again", delay)
			time.Sleep(delay)
		default:
			return err
		}
	}
}

func (s *Server) accepted(nc net.Conn) {
	if s.secure != nil {
		s.greet(nc)
		return
	}
	s.receive(s.seeThrough(nc), nil, nil)
}

// Arrive takes ownership of a connection that another process has handed over.
// It does not wait.
func (s *Server) Arrive(a transfer.Arrival) {
	if s.Kind == conntrack.SecureStreams {
		s.welcome(a.Conn, a.Left)
		return
	}
	s.receive(a.Conn, a.Left, nil)
}

// Hijacked makes a Conn of a connection that was taken from its http.Server, of
// which unread has been read. The handler is not called.
func (s *Server) Hijacked(nc net.Conn, unread []byte) *Conn {
	return s.add(underneath(nc), nil, unread)
}

// InfoOf returns what the Registry knows of c. It is no method, since c has the
// methods of a program's own connection.
func InfoOf(c *Conn) *conntrack.Info { return &c.info }

// seeThrough finds what may move of a connection that was accepted.
func (s *Server) seeThrough(nc net.Conn) net.Conn {
	if !s.Movable {
		return nc
	}
	nc = around.See(nc)
	if _, ok := nc.(*around.Conn); !ok && !isSocket(nc) {
		s.Hidden(nc)
	}
	return nc
}

// isSocket reports whether nc is what another process can go on with.
func isSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	default:
		return false
	}
}

// add makes a Conn of raw.
func (s *Server) add(raw net.Conn, state, unread []byte) *Conn {
	c := &Conn{server: s, state: state, unread: unread, leaving: make(chan struct{})}
	c.session, _ = raw.(*conntrack.Session)
	c.info.Raw, c.info.Endpoint = raw, &s.Endpoint
	s.Registry.Add(c.tracked())
	c.tracked().Release() // it may have come while all others leave
	return c
}

// receive has the handler called.
func (s *Server) receive(raw net.Conn, state, unread []byte) {
	c := s.add(raw, state, unread)
	go s.handle(c)
}

func (s *Server) handle(c *Conn) {
	defer func() {
		if r := recover(); r != nil {
			s.Log.Error("panic of a stream's handler", "panic", r, "stack", string(debug.Stack()))
		}
		_ = c.Close()
	}()
	s.Handler(c)
}
