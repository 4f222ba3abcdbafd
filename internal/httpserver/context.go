package httpserver

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// baseContext has base called once, with the listener that HTTP was given: the
// connections that move here are served by a Serve of their own.
func (s *Server) baseContext(base func(net.Listener) context.Context) func(net.Listener) context.Context {
	if base == nil {
		return nil
	}
	once := sync.OnceValue(func() context.Context { return base(s.Listener) })
	return func(net.Listener) context.Context { return once() }
}

// connContext has next see the connection that net/http would have shown it. If
// add is set each context gets its connection, since some may have to close
// where others move.
func (s *Server) connContext(next func(context.Context, net.Conn) context.Context, add bool) func(context.Context, net.Conn) context.Context {
	isCopy := s.HTTP != s.Given
	if next == nil && !isCopy && !add {
		return nil
	}
	return func(ctx context.Context, nc net.Conn) context.Context {
		if isCopy {
			ctx = context.WithValue(ctx, http.ServerContextKey, s.Given)
		}
		if add {
			ctx = s.WithConn(ctx, nc)
		}
		if next == nil {
			return ctx
		}
		return next(ctx, conntrack.Seen(nc))
	}
}

// handler returns what answers the requests: next, or net/http's default.
func (s *Server) handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	if s.HTTP == s.Given {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, s.ofGiven(r)) })
}

// ofGiven has the handler of a request find the server that HTTP was given. Up
// to Go 1.26 HTTP/2 puts its own into the context after ConnContext.
func (s *Server) ofGiven(r *http.Request) *http.Request {
	if r.ProtoMajor != 2 || r.Context().Value(http.ServerContextKey) != s.HTTP {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, s.Given))
}

// cancelWith has the contexts of a server's requests end with ctx, whatever the
// server's own BaseContext is.
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

// callHook tells the program's own ConnState. After a panic a connection in use
// is dropped, as by net/http, which then logs it. It would end the process
// where the panic was in a call for StateNew, or for StateClosed.
func (s *Server) callHook(nc net.Conn, state http.ConnState) {
	if s.hook == nil {
		return
	}
	if state != http.StateActive && state != http.StateIdle {
		defer func() {
			if r := recover(); r != nil {
				callback.LogPanic(s.shared.Log, "ConnState", r)
			}
		}()
	}
	s.hook(nc, state)
}
