package goaway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"reflect"
	"time"
)

// unencryptedHTTP2 is the TLSNextProto key under which net/http takes HTTP/2
// connections whose preface has been read (nextProtoUnencryptedHTTP2 in
// server.go).
const unencryptedHTTP2 = "unencrypted_http2"

// An engine is net/http's HTTP/2, configured on a server that serves nothing
// else. The connections it serves belong to another server, its owner.
type engine struct {
	server *http.Server
	serve  func(net.Conn, http.Handler) // to the end, once the preface has been read
}

// newEngine configures HTTP/2 as it is on a server. It returns nil if that
// server has no HTTP/2, or there is no way to it in this Go release.
func newEngine(owner *http.Server) *engine {
	s := configured(owner)
	if s == nil {
		return nil
	}
	if entry := s.TLSNextProto[unencryptedHTTP2]; entry != nil {
		return &engine{server: s, serve: throughTLSNextProto(owner, entry)}
	}
	if serve := throughServe(s); serve != nil {
		return &engine{server: s, serve: serve}
	}
	return nil
}

// configured returns a server with the same HTTP/2 as its owner will have, or
// nil if it will have none.
func configured(owner *http.Server) *http.Server {
	s := likeness(owner)
	// ServeTLS configures HTTP/2 before all else. Then it fails, for want of a
	// certificate or of a listener.
	_ = s.ServeTLS(noListener{}, "", "")
	if s.TLSNextProto["h2"] == nil {
		return nil
	}
	return s
}

// likeness returns a server with the settings of its owner. HTTP/2 takes from it
// the idle timeout, and since Go 1.27 all of them.
func likeness(owner *http.Server) *http.Server {
	s := new(http.Server)
	from, to := reflect.ValueOf(owner).Elem(), reflect.ValueOf(s).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	s.TLSConfig = owner.TLSConfig.Clone() // looked at for cipher suites, and written to
	s.TLSNextProto = nil                  // to be set
	s.BaseContext = nil                   // noListener is not for the owner to see
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if hook := owner.ConnState; hook != nil {
			hook(c, state)
		}
	}
	return s
}

// throughTLSNextProto is the way to HTTP/2 up to Go 1.26.
func throughTLSNextProto(owner *http.Server, entry func(*http.Server, *tls.Conn, http.Handler)) func(net.Conn, http.Handler) {
	return func(c net.Conn, h http.Handler) {
		entry(owner, tls.Client(hidden{plain: c}, nil), h)
	}
}

// throughServe is the way to HTTP/2 since Go 1.27, where the entries of
// TLSNextProto are not set or do nothing: the one that net/http keeps for
// golang.org/x/net/http2.ConfigureServer. It returns nil if there is none.
func throughServe(s *http.Server) func(net.Conn, http.Handler) {
	way := &registration{server: s}
	if err := s.Serve(way); err != nil || way.serve == nil {
		return nil
	}
	return func(c net.Conn, h http.Handler) {
		way.serve(contextOf(h), c, h, true, nil, nil)
	}
}

// A registration is a listener that Serve does not serve, but tells how to serve
// a connection by HTTP/2 (http2ExternalServerConfig in http2.go). Without this
// way into net/http it is one that is closed.
type registration struct {
	noListener
	server *http.Server
	serve  serveConn
}

// A serveConn serves HTTP/2 on a connection to its end. It is told whether the
// client's preface has been read, and of an upgrade from HTTP/1.
type serveConn = func(ctx context.Context, c net.Conn, h http.Handler, greeted bool, upgrade *http.Request, settings []byte)

func (r *registration) ServeConnFunc(serve serveConn) { r.serve = serve }

// HTTP2Config returns what is to be added to the server's own, nothing.
func (r *registration) HTTP2Config() http.HTTP2Config { return http.HTTP2Config{} }

// IdleTimeout returns the idle timeout, as net/http finds it (configureHTTP2 in
// http2.go).
func (r *registration) IdleTimeout() time.Duration {
	if r.server.IdleTimeout != 0 {
		return r.server.IdleTimeout
	}
	return r.server.ReadTimeout
}

// contextOf returns the context of a connection, which net/http passes to
// entries of TLSNextProto by a method of the handler (initALPNRequest in
// server.go).
func contextOf(h http.Handler) context.Context {
	if b, ok := h.(interface{ BaseContext() context.Context }); ok {
		return b.BaseContext()
	}
	return context.Background()
}

// shutdown begins net/http's graceful shutdown of all connections of the engine
// and does not wait for it. It may be called again.
func (e *engine) shutdown() {
	// It returns at once: the engine's server has no listener and no HTTP/1.
	_ = e.server.Shutdown(context.Background())
}

// hidden is how net/http passes a connection without TLS where a *tls.Conn is
// wanted (unencryptedNetConnInTLSConn in server.go).
type hidden struct {
	net.Conn // nil: nothing else of it is used
	plain    net.Conn
}

func (h hidden) UnencryptedNetConn() net.Conn { return h.plain }

// noListener is a listener that is closed.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
