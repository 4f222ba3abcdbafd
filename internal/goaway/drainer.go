package goaway

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// shutdownLinger is the linger of a drain that [http.Server.Shutdown] begins:
// what net/http itself gives a client to go (goAwayTimeout).
const shutdownLinger = time.Second

// ErrDiffers is returned by [Prepare] for a Go release that this package does
// not know how to deal with.
var ErrDiffers = errors.New("net/http's HTTP/2 behaves differently")

// Drainer ends the HTTP/2 connections of one server. Goroutines may share it.
// A nil Drainer is one of a server without HTTP/2 connections: its methods do
// nothing.
type Drainer struct {
	server *http.Server
	opened func(net.Conn, *Streams)
	hook   func(net.Conn, http.ConnState)
	engine *engine

	mu       sync.Mutex
	conns    map[*conn]struct{} // those opened before Drain
	draining bool
	linger   time.Duration
}

// Prepare readies server, which does not serve yet, and whose fields are as
// they shall be when it serves. It sets TLSNextProto, wraps ConnState, and
// registers with RegisterOnShutdown, so that Shutdown begins a drain.
// Handlers and the ConnState hook see what they see without Prepare.
//
// opened, unless nil, is called with each connection that turns out to be
// HTTP/2, before its first request: the one that the server's ConnState hook
// sees, which is the *tls.Conn or, without TLS, what Accept returned. It is
// called on the connection's goroutine and must not block. The Streams are those
// of the connection, from the first to the last.
//
// Prepare returns nil and leaves the server as it is if it does not speak
// HTTP/2 (Protocols, GODEBUG=http2server=0, a TLSConfig that HTTP/2 refuses),
// or if its TLSNextProto is set (golang.org/x/net/http2.ConfigureServer, or an
// empty map, which disables HTTP/2). It returns nil and [ErrDiffers] if the
// HTTP/2 of this Go release does not behave as this package needs it: the first
// Prepare tries that, in memory.
func Prepare(server *http.Server, opened func(net.Conn, *Streams)) (*Drainer, error) {
	if server.TLSNextProto != nil || configured(server) == nil {
		return nil, nil
	}
	e := newEngine(server)
	if e == nil || !isKnown() {
		return nil, ErrDiffers
	}
	if opened == nil {
		opened = func(net.Conn, *Streams) {}
	}
	d := &Drainer{server: server, opened: opened, hook: server.ConnState, engine: e, conns: make(map[*conn]struct{})}
	server.ConnState = d.connState
	server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2":             d.serveTLS,
		unencryptedHTTP2: d.serveUnencrypted,
	}
	server.RegisterOnShutdown(func() { d.Drain(shutdownLinger) })
	return d, nil
}

// Drain begins to end all HTTP/2 connections, those that are still in their TLS
// handshake included, and returns at once. Each connection is closed when its
// last request is answered and its client has read the answer. One that is less
// than a second old and has had no request waits for it, or for that second, or
// for half of linger. The caller counts the connections, from Accept to the Close
// of what Accept returned.
//
// Clients that do not answer PINGs, or keep opening streams, are left to
// net/http's graceful shutdown after linger. There is no deadline: requests may
// take as long as they like, and the caller closes what it will not wait for.
// A second call does nothing.
func (d *Drainer) Drain(linger time.Duration) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.draining {
		return
	}
	d.draining, d.linger = true, linger
	for c := range d.conns {
		c.begin(linger)
	}
	d.conns = nil
	time.AfterFunc(linger, d.engine.shutdown)
}

// serveTLS is the server's TLSNextProto["h2"].
func (d *Drainer) serveTLS(_ *http.Server, tc *tls.Conn, h http.Handler) {
	c := newConn(tc)
	c.preface = true
	d.serve(c, &tlsConn{conn: c, state: tc.ConnectionState}, h)
}

// serveUnencrypted is the server's TLSNextProto["unencrypted_http2"]. net/http
// has read the client's preface and hides the connection in a tls.Conn
// (maybeServeUnencryptedHTTP2 in server.go).
func (d *Drainer) serveUnencrypted(_ *http.Server, tc *tls.Conn, h http.Handler) {
	hidden, ok := tc.NetConn().(interface{ UnencryptedNetConn() net.Conn })
	if !ok {
		_ = tc.Close()
		return
	}
	c := newConn(hidden.UnencryptedNetConn())
	d.serve(c, c, h)
}

// serve serves one connection to its end. facade is c as HTTP/2 shall see it.
func (d *Drainer) serve(c *conn, facade net.Conn, h http.Handler) {
	d.opened(c.Conn, c.streams)
	if d.add(c) {
		defer d.remove(c)
		d.engine.serve(facade, h)
		return
	}
	// A drain has begun, and the shared engine's shutdown may be over. One of
	// its own gives this connection a linger of its own.
	e := newEngine(d.server)
	if e == nil {
		e = d.engine
	}
	timer := time.AfterFunc(d.linger, e.shutdown)
	defer timer.Stop()
	c.begin(d.linger)
	e.serve(facade, h)
}

// add notes c for Drain to find, and reports false if Drain has been called.
func (d *Drainer) add(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.draining {
		d.conns[c] = struct{}{}
	}
	return !d.draining
}

func (d *Drainer) remove(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c) // of a nil map: nothing
}

// connState is the server's ConnState hook. HTTP/2 calls it with the connection
// it was given, net/http with its own: the user's hook sees only the latter.
func (d *Drainer) connState(nc net.Conn, state http.ConnState) {
	if layer, ok := nc.(interface{ layer() *conn }); ok {
		c := layer.layer()
		if c.greet() != nil {
			return // as in net/http, where no hook is called without a preface
		}
		c.setIdle(state == http.StateIdle)
		nc = c.Conn
	}
	if d.hook != nil {
		d.hook(nc, state)
	}
}
