package lifecycle

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrServerInUse is matched by the error of HTTP for an http.Server that it was
// given before, for another listener.
var ErrServerInUse = errors.New("the http.Server serves another listener")

// checkHTTP says why server cannot be served.
func (s *Service) checkHTTP(server *http.Server) error {
	if err := s.checkInUse(server); err != nil {
		return err
	}
	return checkCertificate(server)
}

// checkInUse says whether server serves another listener.
func (s *Service) checkInUse(server *http.Server) error {
	for _, other := range s.registered.servers {
		if h, ok := other.(*httpServer); ok && h.Given == server {
			return fmt.Errorf("%s: %w", h.Listener.Addr(), ErrServerInUse)
		}
	}
	return nil
}

// checkCertificate says what Serve would say too late: when this process has
// taken over.
func checkCertificate(server *http.Server) error {
	if server.TLSConfig != nil && !canServe(server.TLSConfig) {
		return ErrNoCertificate
	}
	return nil
}

// prepareHTTP readies the servers of HTTP. s.registered.mu is held.
func (s *Service) prepareHTTP() error {
	if s.registered.hooks.AnyEarly() {
		s.conns.WatchSpared()
		if s.registered.http != nil {
			s.registered.http.Spares = true
		}
	}
	for _, server := range s.registered.servers {
		h, ok := server.(*httpServer)
		if !ok {
			continue
		}
		if h.by != nil {
			h.SetUp = h.by.listener.Server()
		}
		if err := checkCertificate(h.Source()); err != nil {
			return fmt.Errorf("serve HTTP on %s: %w", h.Listener.Addr(), err)
		}
		h.prepare()
	}
	return nil
}

// prepare readies h to serve, and to have its connections move if they can.
func (h *httpServer) prepare() {
	h.Prepare()
	h.hijacked.Movable = h.hijacked.Handler != nil && h.Name != "" && !h.TLS
	if h.MovesTLS() {
		h.prepareTLS()
	}
	h.Prove()
}
