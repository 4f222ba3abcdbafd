package lifecycle

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Hijack takes the connection of a request over from its server, as http.Hijacker does, and makes a Stream of it: a WebSocket or
// other upgraded connection, whose Read returns ErrLeaving when the process is to be replaced, and which may be handed over to
// the handler that the next process has for it: see [Service.Hijacked]. What the client sent along with the request is read first.
//
// The handler writes the answer to the request itself, and closes the Stream when it is done with it; that it returns does not.
// As with http.Hijacker, the ResponseWriter must not be used any more, and r.Context() does not end with the connection.
//
// The error matches http.ErrNotSupported for a request that cannot be hijacked, such as one of HTTP/2, and errors.ErrUnsupported
// if its server is not the Service's.
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
	stream := &Stream{server: h.hijacked, unread: unread, leaving: make(chan struct{})}
	stream.raw, stream.port = underlying(nc), &h.hijacked.port
	s.conns.add(stream)
	if c := h.conn(nc); c != nil {
		s.conns.remove(c)
	}
	stream.take() // it may have come while all others leave
	return stream, nil
}

// Hijacker returns w for a library that upgrades connections, by the http.Hijacker that it finds: the connection that Hijack there
// returns is the *Stream that Service.Hijack makes, to which the library's own connection is mostly a wrapper. So
//
//	conn, _, _, err := ws.HTTPUpgrader{}.Upgrade(r, service.Hijacker(w, r)) // gobwas: the *Stream
//	conn, err := upgrader.Upgrade(service.Hijacker(w, r), r, nil)           // gorilla: has it as NetConn
//
// A connection can be handed over as long as the library has nothing of it in a buffer of its own; any may be said goodbye to
// when Stream.Leaving is closed.
func (s *Service) Hijacker(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
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

// Hijacked has handler serve the connections of a listener of HTTP that were hijacked in the generation before, by
// Service.Hijack, and handed over. Without it hijacked connections cannot be handed over. It is called as a handler of Stream is,
// and the connection is closed when it returns.
//
// TLS connections have a state inside the process, and stay in it.
//
// The error matches ErrRunning after Run was called, and errors.ErrUnsupported for a listener that HTTP was not told of.
func (s *Service) Hijacked(listener net.Listener, handler func(*Stream)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return fmt.Errorf("serve hijacked connections of %s: %w", listener.Addr(), ErrRunning)
	}
	found := false
	for _, server := range s.servers {
		if h, ok := server.(*httpServer); ok && h.listener == listener {
			h.hijacked.handler = handler
			h.hijacked.movable = h.name != "" && !h.tls
			found = true
		}
	}
	if !found {
		return s.Fail(fmt.Errorf("serve hijacked connections of %s: HTTP does not serve it: %w", listener.Addr(), errors.ErrUnsupported))
	}
	return nil
}

// newHijacked makes the server of the connections that are hijacked from h. It accepts none.
func newHijacked(h *httpServer) *streamServer {
	return &streamServer{port: port{
		service:  h.service,
		listener: newConnQueue(h.listener.Addr()),
		name:     h.name,
		stream:   true,
	}}
}

// httpServerOf returns the server that serves the request, nil if it is not one of the Service.
func (s *Service) httpServerOf(r *http.Request) *httpServer {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	for _, candidate := range s.servers {
		if h, ok := candidate.(*httpServer); ok && h.server == server {
			return h
		}
	}
	return nil
}
