package httpserver

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/goaway"
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

	Given *http.Server // the program's
	SetUp *http.Server // what a framework has made of Given; nil if none has
	// IsAbrupt says that HTTP speaks an HTTP/2 that goaway does not know.
	IsAbrupt bool

	host    *Host
	wrapped bool // the program has put a listener around ours
	hook    func(net.Conn, http.ConnState)
	http2   *goaway.Drainer // nil if HTTP does not speak it, or brings its own
}

// New makes given, which is not serving yet, one to be prepared. wrapped says
// that the program has put a listener around ours.
func New(host *Host, s *conntrack.Server, given *http.Server, wrapped bool) *Server {
	s.HTTP = given
	return &Server{Server: s, Given: given, host: host, wrapped: wrapped}
}

// Source returns the server whose fields are served by: SetUp, or else Given.
func (h *Server) Source() *http.Server { return cmp.Or(h.SetUp, h.Given) }

// Prepare makes Source, with whatever its fields say by now, one whose
// connections can be drained.
func (h *Server) Prepare() {
	h.HTTP = h.Source()
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
	server.ConnContext = h.connContext(server.ConnContext, h.wrapped || h.MovesTLS() || h.host.Spares)
	h.prepareHTTP2()
}

// MovesTLS reports whether connections of TLS are to move, as far as they can.
func (h *Server) MovesTLS() bool { return h.TLS && h.Name != "" && h.host.MoveTLS }

// Prove has nothing move if net/http is not the one that conntrack knows.
func (h *Server) Prove() {
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

// Drain tells HTTP/2 connections to end: they would go on for ever.
func (h *Server) Drain() {
	h.http2.Drain(h.host.Linger)
	h.shutDown()
}
