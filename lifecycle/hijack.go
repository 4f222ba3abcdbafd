package lifecycle

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"

	"github.com/heirloom-go/heirloom/internal/httpserver"
	"github.com/heirloom-go/heirloom/internal/streams"
)

// Hijack takes the connection of a request over from its server, as
// http.Hijacker does, and makes a Stream of it: a WebSocket or other upgraded
// connection, whose Read returns ErrDraining when the process is to be
// replaced, and which may be handed over to the handler that the next process
// has for it: see [Service.ServeHijacked]. What the client sent along with the
// request is read first.
//
// The handler writes the answer to the request itself, and closes the Stream
// when it is done with it; that it returns does not. As with http.Hijacker, the
// ResponseWriter must not be used any more, and r.Context() does not end with
// the connection.
//
// The error matches http.ErrNotSupported for a request that cannot be hijacked,
// such as one of HTTP/2, and errors.ErrUnsupported if its server is not the
// Service's.
func (s *Service) Hijack(w http.ResponseWriter, r *http.Request) (*Stream, error) {
	h := s.httpServerOf(r)
	if h == nil {
		return nil, fmt.Errorf("hijack the connection of %s: the server is not one of HTTP: %w", r.RemoteAddr, errors.ErrUnsupported)
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("hijack the connection of %s: %w", r.RemoteAddr, err)
	}
	unread := make([]byte, buffered.Reader.Buffered())
	_, _ = buffered.Read(unread) // what is buffered is read without fail
	stream := h.Hijacked.Hijacked(nc, unread)
	h.HandTo(nc, streams.InfoOf(stream))
	return &Stream{stream}, nil
}

// HijackWriter returns w for a library that upgrades connections, by the
// http.Hijacker that it finds: the connection that Hijack there returns is the
// *Stream that Service.Hijack makes, to which the library's own connection is
// mostly a wrapper. So
//
//	w = service.HijackWriter(w, r)
//	conn, _, _, err := ws.HTTPUpgrader{}.Upgrade(r, w) // gobwas: the *Stream
//	conn, err := upgrader.Upgrade(w, r, nil) // gorilla: has it as NetConn
//
// A connection can be handed over as long as the library has nothing of it in a
// buffer of its own; any may be said goodbye to when Stream.Draining is closed.
func (s *Service) HijackWriter(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &hijacker{ResponseWriter: w, service: s, request: r}
}

type hijacker struct {
	http.ResponseWriter
	service *Service
	request *http.Request
}

var _ http.Hijacker = (*hijacker)(nil)

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, err := h.service.Hijack(h.ResponseWriter, h.request)
	if err != nil {
		return nil, nil, err
	}
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// Unwrap is for http.ResponseController.
func (h *hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// ServeHijacked has handler serve the connections of a listener of HTTP that
// were hijacked in the generation before, by Service.Hijack, and handed over.
// Without it hijacked connections cannot be handed over. It is called as a
// handler of ServeStreams is, and the connection is closed when it returns.
//
// Connections of TLS are among them if they may move: see [Options].MoveTLS.
// The TLSConfig of the listener's server then decides here about their sessions.
//
// The error matches ErrRunning after Run was called, and errors.ErrUnsupported
// for a listener that HTTP was not told of.
func (s *Service) ServeHijacked(listener net.Listener, handler func(*Stream)) error {
	if err := s.registered.lock("serve hijacked connections of %s", listener.Addr()); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	found := false
	for h := range s.registered.httpServers() {
		if isSame(h.Listener, listener) {
			h.Hijacked.Handler = onStream(handler)
			found = true
		}
	}
	if !found {
		return s.Fail(fmt.Errorf("serve hijacked connections of %s: HTTP does not serve it: %w", listener.Addr(), errors.ErrUnsupported))
	}
	return nil
}

// httpServerOf returns the server that serves the request, nil if it is not one
// of the Service.
func (s *Service) httpServerOf(r *http.Request) *httpserver.Server {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	for h := range s.registered.httpServers() {
		if h.Given == server {
			return h
		}
	}
	return nil
}

// isSame compares two listeners, which may be of any type.
func isSame(a, b net.Listener) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
