package conntrack

import (
	"context"
	"net"
	"net/http"
)

// AnnounceClose returns a handler that has the responses of next say
// Connection: close where the connection has no future. net/http then closes
// the connection after the response, and turns it into GOAWAY on HTTP/2.
func (s *Server) AnnounceClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Phase() != Serving && s.isToClose(r) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
		if s.Phase() != Serving && s.isToClose(r) {
			w.Header().Set("Connection", "close") // in time if the handler wrote nothing
		}
		if s.Phase() == Cancelled {
			panic(http.ErrAbortHandler) // a cancelled response must not look like a complete one
		}
	})
}

// isToClose reports whether the response to r, in a drain, is to be the last of
// its connection.
func (s *Server) isToClose(r *http.Request) bool {
	if r.ProtoMajor == 2 && s.SaysGoAway {
		return false
	}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && !c.mayMove() {
		c.noteStays()
		return true
	}
	return s.Phase() != Moving || s.Registry.drain.late.Load()
}

// connKey finds, in the context of a request, the connection that it came on.
type connKey struct{}

// WithConn returns ctx, for the requests on nc, which the listener accepted and
// which may have to close while others move.
func (s *Server) WithConn(ctx context.Context, nc net.Conn) context.Context {
	if c := s.find(nc); c != nil {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// Spare notes that the request, which a Server serves, needs nothing any more
// that the process is to give up before it ends: see Registry.NeedsNothing. It
// is for the request's handler, in its goroutine. It does nothing where a next
// request may be here already: for HTTP/2, TLS, a request with a body, or one
// that did not come alone. WatchSpared must have been called.
func Spare(r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*conn)
	if ok && r.ProtoMajor == 1 && r.ContentLength == 0 && c.State() == http.StateActive && r.Context().Err() == nil {
		c.spare()
	}
}
