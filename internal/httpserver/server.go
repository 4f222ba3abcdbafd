package httpserver

import (
	"cmp"
	"context"
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

// A Host is what the Servers of a service need to know of it. They share one.
type Host struct {
	Requests context.Context // ends when requests are cancelled
	Linger   time.Duration   // see conntrack.Host
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

	host    *Host
	setUp   *http.Server // what By has made of Given; nil without one
	wrapped bool         // the program has put a listener around ours
	hook    func(net.Conn, http.ConnState)
	http2   *goaway.Drainer // nil if HTTP does not speak it, or brings its own
}

// New makes given, which is not serving yet, one to be prepared. wrapped says
// that the program has put a listener around ours.
func New(host *Host, s *conntrack.Server, given *http.Server, wrapped bool) *Server {
	s.HTTP = given
	hijacked := &streams.Server{
		Endpoint: conntrack.Endpoint{
			Registry: s.Registry,
			Listener: conntrack.NewQueue(s.Listener.Addr()),
			Name:     s.Name,
			Kind:     conntrack.Streams,
			Control:  s.Control,
		},
		Log: host.Log,
	}
	return &Server{Server: s, Given: given, Hijacked: hijacked, host: host, wrapped: wrapped}
}

// source returns the server whose fields count.
func (h *Server) source() *http.Server { return cmp.Or(h.setUp, h.Given) }

// Prepare readies the server, with whatever its fields say by now, to serve, and
// to have its connections move if they can. By has set it up. It is called
// before Serve. The error matches certificate.ErrNone.
func (h *Server) Prepare() error {
	if h.By != nil {
		h.setUp = h.By.Server()
	}
	if config := h.source().TLSConfig; config != nil {
		if err := certificate.Check(config); err != nil {
			return fmt.Errorf("serve HTTP on %s: %w", h.Listener.Addr(), err)
		}
	}
	h.intervene()
	h.Hijacked.Movable = h.Hijacked.Handler != nil && h.Name != "" && !h.TLS
	if h.movesTLS() {
		h.prepareTLS()
	}
	h.prove()
	return nil
}

// intervene has the functions of the server be ours, which call its own.
func (h *Server) intervene() {
	h.HTTP = h.source()
	h.TLS = h.HTTP.TLSConfig != nil // net/http sets one of its own when it serves
	h.Movable = h.Name != "" && !h.TLS
	h.prepareShutdown()
	if !h.TLS {
		h.prepareH2C()
	}
	server := h.HTTP
	if h.hook = server.ConnState; h.hook != nil {
		h.Hook = h.callHook
	}
	server.ConnState = h.noticeH2C(h.ConnState)
	server.Handler = h.AnnounceClose(h.handler(server.Handler))
	server.BaseContext = cancelWith(h.host.Requests, h.baseContext(server.BaseContext))
	server.ConnContext = h.connContext(server.ConnContext, h.wrapped || h.movesTLS() || h.host.Spares)
	h.prepareHTTP2()
}

// movesTLS reports whether connections of TLS are to move, as far as they can.
func (h *Server) movesTLS() bool { return h.TLS && h.Name != "" && h.host.MoveTLS }

// prove has nothing move if net/http is not the one that conntrack knows.
func (h *Server) prove() {
	err := h.Rehearse()
	if err == nil {
		return
	}
	h.Movable = false
	if !h.host.unproven {
		h.host.unproven = true
		h.host.Log.Warn("idle HTTP/1 connections cannot move with this Go release: clients will be told to close them",
			"go", runtime.Version(), "reason", err)
	}
}

// prepareHTTP2 readies h.HTTP, if it speaks HTTP/2, to end its connections.
func (h *Server) prepareHTTP2() {
	var err error
	h.http2, err = goaway.Prepare(h.HTTP, h.IsHTTP2)
	h.IsAbrupt = err != nil
	if err != nil && (h.TLS || speaksH2C(h.HTTP)) {
		h.warnHTTP2(err)
	}
	h.SaysGoAway = h.http2 != nil
	if h.http2 == nil && speaksH2C(h.HTTP) {
		h.Movable = false
	}
}

// warnHTTP2 says that connections of HTTP/2 will end in another way than
// documented: by Connection: close, upon which net/http sends one GOAWAY, or if
// they are idle by their end alone.
func (h *Server) warnHTTP2(reason error) {
	if !h.host.abrupt {
		h.host.abrupt = true
		h.host.Log.Warn("a drain can break requests of HTTP/2 with this Go release", "go", runtime.Version(), "reason", reason)
	}
}

// Where it is not told which connection is HTTP/2, any of them may be.
func speaksH2C(server *http.Server) bool {
	return server.Protocols != nil && server.Protocols.UnencryptedHTTP2()
}

// Arrive takes ownership of a connection that another process has handed over.
// It does not wait.
func (h *Server) Arrive(a transfer.Arrival) {
	if h.Kind == conntrack.HTTPS {
		h.ReceiveSecure(a.Conn, a.Left, a.Wait)
		return
	}
	h.Receive(a.Conn, a.Wait)
}

// Drain tells HTTP/2 connections to end: they would go on for ever.
func (h *Server) Drain() {
	h.http2.Drain(h.host.Linger)
	h.shutDown()
}
