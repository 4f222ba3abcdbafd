package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/certificate"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/framework"
	"github.com/heirloom-go/heirloom/internal/goaway"
	"github.com/heirloom-go/heirloom/internal/streams"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// Shared is what the Servers of a service know of it. They share one.
type Shared struct {
	Requests context.Context // ends when requests are cancelled
	Linger   time.Duration   // see conntrack.Config
	MoveTLS  bool            // connections of TLS are to move
	Spares   bool            // handlers may say that they need nothing any more: see conntrack.Spare
	Log      hclog.Logger

	unproven bool // it was logged that net/http is another one than conntrack knows
	abrupt   bool // it was logged that goaway does not know its HTTP/2
}

// A Server is an http.Server on one listener, and the way its connections come
// and go.
type Server struct {
	*conntrack.Server // HTTP is Source, or one like it: see prepareShutdown

	Given    *http.Server         // the program's
	By       *framework.Framework // that sets Given up; nil if that is the program
	Hijacked *streams.Server      // of the connections that are taken from this one; it accepts none
	// IsAbrupt says that HTTP speaks an HTTP/2 that goaway does not know.
	IsAbrupt bool

	shared  *Shared
	setUp   *http.Server // what By has made of Given; nil without one
	wrapped bool         // the program has put a listener around ours
	hook    func(net.Conn, http.ConnState)
	http2   *goaway.Drainer // nil if HTTP does not speak it, or brings its own
}

// New makes given, which is not serving yet, one to be prepared. wrapped says
// that the program has put a listener around ours.
func New(shared *Shared, s *conntrack.Server, given *http.Server, wrapped bool) *Server {
	s.HTTP = given
	hijacked := &streams.Server{
		Endpoint: conntrack.Endpoint{
			Registry: s.Registry,
			Listener: conntrack.NewMovedListener(s.Listener.Addr()),
			Name:     s.Name,
			Kind:     conntrack.Streams,
			Control:  s.Control,
		},
		Log: shared.Log,
	}
	return &Server{Server: s, Given: given, Hijacked: hijacked, shared: shared, wrapped: wrapped}
}

// source returns the server whose fields count.
func (s *Server) source() *http.Server { return cmp.Or(s.setUp, s.Given) }

// Prepare readies the server, with whatever its fields say by now, to serve, and
// to have its connections move if they can. By has set it up. It is called
// before Serve. The error matches certificate.ErrNone.
func (s *Server) Prepare() error {
	if s.By != nil {
		s.setUp = s.By.Server()
	}
	if config := s.source().TLSConfig; config != nil {
		if err := certificate.Check(config); err != nil {
			return fmt.Errorf("serve HTTP on %s: %w", s.Listener.Addr(), err)
		}
	}
	s.intervene()
	s.Hijacked.Movable = s.Hijacked.Handler != nil && s.Name != "" && !s.TLS
	if s.movesTLS() {
		s.prepareTLS()
	}
	s.prove()
	return nil
}

// intervene has the functions of the server be ours, which call its own.
func (s *Server) intervene() {
	s.HTTP = s.source()
	s.TLS = s.HTTP.TLSConfig != nil // net/http sets one of its own when it serves
	s.Movable = s.Name != "" && !s.TLS
	s.prepareShutdown()
	if !s.TLS {
		s.prepareH2C()
	}
	server := s.HTTP
	if s.hook = server.ConnState; s.hook != nil {
		s.Hook = s.callHook
	}
	server.ConnState = s.noticeH2C(s.ConnState)
	server.Handler = s.AnnounceClose(s.handler(server.Handler))
	server.BaseContext = cancelWith(s.shared.Requests, s.baseContext(server.BaseContext))
	server.ConnContext = s.connContext(server.ConnContext, s.wrapped || s.movesTLS() || s.shared.Spares)
	s.prepareHTTP2()
}

// movesTLS reports whether connections of TLS are to move, as far as they can.
func (s *Server) movesTLS() bool { return s.TLS && s.Name != "" && s.shared.MoveTLS }

// prove has nothing move if net/http is not the one that conntrack knows.
func (s *Server) prove() {
	err := s.Rehearse()
	if err == nil {
		return
	}
	s.Movable = false
	if !s.shared.unproven {
		s.shared.unproven = true
		s.shared.Log.Warn("idle HTTP/1 connections cannot move with this Go release: clients will be told to close them",
			"go", runtime.Version(), "reason", err)
	}
}

// prepareHTTP2 readies s.HTTP, if it speaks HTTP/2, to end its connections.
func (s *Server) prepareHTTP2() {
	if s.isPlain() {
		// Without a map net/http would set HTTP/2 up when it serves, which takes
		// a millisecond of the start.
		if s.HTTP.TLSNextProto == nil {
			s.HTTP.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler))
		}
		return
	}
	var err error
	s.http2, err = goaway.Prepare(s.HTTP, func(nc net.Conn, streams *goaway.Streams) { s.IsHTTP2(nc, streams) })
	s.IsAbrupt = err != nil
	if err != nil && (s.TLS || s.SpeaksH2C()) {
		s.warnHTTP2(err)
	}
	s.SaysGoAway = s.http2 != nil
	if s.http2 == nil && s.SpeaksH2C() { // where it is not told which connection is HTTP/2, any of them may be
		s.Movable = false
	}
	s.SeeOthers()
}

// isPlain reports whether no client can speak HTTP/2. A listener that is not
// net's own may accept a *tls.Conn, and then net/http speaks it without a
// TLSConfig.
func (s *Server) isPlain() bool {
	switch s.Listener.(type) {
	case *net.TCPListener, *net.UnixListener:
		return !s.TLS && !s.SpeaksH2C()
	default:
		return false
	}
}

// warnHTTP2 says that connections of HTTP/2 will end in another way than
// documented: by Connection: close, upon which net/http sends one GOAWAY, or if
// they are idle by their end alone.
func (s *Server) warnHTTP2(reason error) {
	if !s.shared.abrupt {
		s.shared.abrupt = true
		s.shared.Log.Warn("a drain can break requests of HTTP/2 with this Go release", "go", runtime.Version(), "reason", reason)
	}
}

// Arrive takes ownership of a connection that another process has handed over.
// It does not wait.
func (s *Server) Arrive(a transfer.Arrival) {
	if s.Kind == conntrack.HTTPS {
		s.ReceiveSecure(a.Conn, a.Left, a.Wait)
		return
	}
	s.Receive(a.Conn, a.Wait)
}

// Drain tells HTTP/2 connections to end: they would go on for ever.
func (s *Server) Drain() {
	s.http2.Drain(s.shared.Linger)
	s.shutDown()
}
