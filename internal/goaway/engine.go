package goaway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// unencryptedHTTP2 is the TLSNextProto key under which net/http takes HTTP/2
// connections whose preface has been read (nextProtoUnencryptedHTTP2 in
// server.go).
const unencryptedHTTP2 = "unencrypted_http2"

// An engine is net/http's HTTP/2, configured on a server that serves nothing
// else. The connections it serves belong to another server, from which it takes
// all settings but the idle timeout.
type engine struct {
	server *http.Server
	next   func(*http.Server, *tls.Conn, http.Handler)
}

// newEngine configures HTTP/2 with the settings of a server. It returns nil if
// that server has no HTTP/2.
func newEngine(like *http.Server) *engine {
	s := &http.Server{
		TLSConfig:   like.TLSConfig.Clone(), // looked at for cipher suites, and written to
		ReadTimeout: like.ReadTimeout,       // stands in for an IdleTimeout of 0
		IdleTimeout: like.IdleTimeout,
		HTTP2:       like.HTTP2,
		Protocols:   like.Protocols,
	}
	// ServeTLS configures HTTP/2 before all else. Then it fails, for want of a
	// certificate or of a listener.
	_ = s.ServeTLS(noListener{}, "", "")
	next := s.TLSNextProto[unencryptedHTTP2]
	if next == nil || s.TLSNextProto["h2"] == nil {
		return nil
	}
	return &engine{server: s, next: next}
}

// serve serves HTTP/2 on c to its end, as a connection of hs.
func (e *engine) serve(hs *http.Server, c net.Conn, h http.Handler) {
	e.next(hs, tls.Client(hidden{plain: c}, nil), h)
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
