package lifecycle

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/goaway"
)

// A server serves the connections accepted at its port, and those that moved there.
type server interface {
	at() *port
	serve() error // until the listener is closed
	drain()       // the connections that can neither move nor be told with their next answer
	serveArrived()
	receive(nc net.Conn, state []byte, movable bool) // to be served by serveArrived
	close()                                          // ends serveArrived
}

// An httpServer is an http.Server on one listener, and the way its connections come and go.
type httpServer struct {
	port
	server  *http.Server
	tls     bool       // told before the server runs: net/http then sets a TLSConfig of its own
	arrived *connQueue // those that moved here

	hijacked *streamServer   // of the connections that Service.Hijack takes
	http2    *goaway.Drainer // nil if server does not speak it, or brings its own

	foreign sync.Map // net.Conn to *conn: connections we could not wrap
	hook    func(net.Conn, http.ConnState)
}

// newHTTPServer prepares server, which is not serving yet, to be drained.
func newHTTPServer(s *Service, name string, listener net.Listener, server *http.Server) *httpServer {
	h := &httpServer{
		port: port{
			service:  s,
			listener: listener,
			name:     name,
			movable:  name != "" && server.TLSConfig == nil,
		},
		server:  server,
		tls:     server.TLSConfig != nil,
		arrived: newConnQueue(listener.Addr()),
		hook:    server.ConnState,
	}
	h.hijacked = newHijacked(h)
	server.ConnState = h.connState
	server.Handler = h.announceClose(server.Handler)
	server.BaseContext = cancelWith(s.requests, server.BaseContext)
	h.http2 = goaway.Prepare(server, h.isHTTP2)
	if h.http2 == nil && speaksH2C(server) {
		h.movable = false
	}
	return h
}

// Where it is not told which connection is HTTP/2, any of them may be.
func speaksH2C(server *http.Server) bool {
	return server.Protocols != nil && server.Protocols.UnencryptedHTTP2()
}

// isHTTP2 is told of a connection that it is HTTP/2, before its first request.
func (h *httpServer) isHTTP2(nc net.Conn) {
	if c := h.conn(nc); c != nil {
		c.http2.Store(true)
	}
}

// drain tells HTTP/2 connections to end: they would go on for ever.
func (h *httpServer) drain() { h.http2.Drain(h.service.options.Linger) }

func (h *httpServer) at() *port { return &h.port }

func (h *httpServer) close() { _ = h.arrived.Close() }

func (h *httpServer) serve() error {
	tracked := &trackingListener{Listener: h.listener, server: h}
	if h.tls {
		return h.server.ServeTLS(tracked, "", "")
	}
	return h.server.Serve(tracked)
}

// serveArrived serves the connections that moved here. A second Serve leaves the way of accepted ones as it is.
func (h *httpServer) serveArrived() {
	_ = h.server.Serve(h.arrived)
}

// announceClose makes h's answers say Connection: close where the connection has no future. net/http then closes the
// connection after the answer, and turns it into GOAWAY on HTTP/2.
func (h *httpServer) announceClose(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.phase.Load() != phaseServing && h.isToClose(r) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
		if h.phase.Load() == phaseCancelled {
			panic(http.ErrAbortHandler) // what was cancelled must not look like an answer that is complete
		}
	})
}

// isToClose reports whether the answer to r, in a drain, is to be the last of its connection.
func (h *httpServer) isToClose(r *http.Request) bool {
	if r.ProtoMajor == 2 && h.http2 != nil {
		return false
	}
	return h.phase.Load() != phaseMoving || h.service.late.Load()
}

// cancelWith has the contexts of a server's requests end with ctx, whatever the server's own BaseContext is.
func cancelWith(ctx context.Context, base func(net.Listener) context.Context) func(net.Listener) context.Context {
	if base == nil {
		return func(net.Listener) context.Context { return ctx }
	}
	return func(l net.Listener) context.Context {
		both, cancel := context.WithCancelCause(base(l))
		context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		return both
	}
}

func (h *httpServer) connState(nc net.Conn, state http.ConnState) {
	if c := h.conn(nc); c != nil {
		c.changed(state)
		if state == http.StateClosed || state == http.StateHijacked {
			h.forget(nc, c)
		}
	}
	if h.hook != nil {
		h.hook(nc, state)
	}
}

// conn returns what is known of a connection that the http.Server speaks of.
func (h *httpServer) conn(nc net.Conn) *conn {
	switch t := nc.(type) {
	case *tcpConn:
		return &t.conn
	case *unixConn:
		return &t.conn
	case *tls.Conn:
		if c := h.conn(t.NetConn()); c != nil {
			return c
		}
	}
	if c, ok := h.foreign.Load(nc); ok {
		return c.(*conn)
	}
	return nil
}

// track makes a connection, accepted here or moved here, one that can be drained.
func (h *httpServer) track(nc net.Conn, movable bool) (net.Conn, *conn) {
	var c *conn
	switch raw := nc.(type) {
	case *net.TCPConn:
		t := &tcpConn{TCPConn: raw}
		nc, c = t, &t.conn
	case *net.UnixConn:
		u := &unixConn{UnixConn: raw}
		nc, c = u, &u.conn
	default:
		c, movable = &conn{foreign: true}, false
		h.foreign.Store(nc, c)
	}
	c.raw, c.port, c.server, c.movable = underlying(nc), &h.port, h, movable
	h.service.conns.add(c)
	return nc, c
}

func underlying(nc net.Conn) net.Conn {
	switch t := nc.(type) {
	case *tcpConn:
		return t.TCPConn
	case *unixConn:
		return t.UnixConn
	default:
		return nc
	}
}

// forget drops a connection that we could not wrap and whose Close we therefore did not see.
func (h *httpServer) forget(nc net.Conn, c *conn) {
	if _, ok := h.foreign.LoadAndDelete(nc); ok {
		h.service.conns.remove(c)
	}
}

// receive serves a connection that was accepted by another generation, or that came back from the taker.
func (h *httpServer) receive(nc net.Conn, _ []byte, movable bool) {
	wrapped, c := h.track(nc, movable)
	c.arrival.at = time.Now()
	h.arrived.push(wrapped)
}

func (h *httpServer) idleTimeout() time.Duration {
	if h.server.IdleTimeout != 0 {
		return h.server.IdleTimeout
	}
	return h.server.ReadTimeout
}

// A trackingListener counts each connection from its very Accept.
type trackingListener struct {
	net.Listener
	server *httpServer
}

func (l *trackingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	nc, _ = l.server.track(nc, l.server.movable)
	return nc, nil
}

// A connQueue is the listener of connections that were accepted elsewhere. It holds as many as are pushed.
type connQueue struct {
	addr net.Addr

	mu     sync.Mutex
	wake   sync.Cond
	queue  []net.Conn
	closed bool
}

var _ net.Listener = (*connQueue)(nil)

func newConnQueue(addr net.Addr) *connQueue {
	q := &connQueue{addr: addr}
	q.wake.L = &q.mu
	return q
}

func (q *connQueue) push(nc net.Conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, nc)
	q.wake.Signal()
}

func (q *connQueue) Accept() (net.Conn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return nil, net.ErrClosed
	}
	nc := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	return nc, nil
}

func (q *connQueue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
	return nil
}

func (q *connQueue) Addr() net.Addr { return q.addr }
