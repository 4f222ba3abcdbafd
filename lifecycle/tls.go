package lifecycle

import (
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"runtime"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// The reasons why no connection of TLS moves.
var (
	errFIPS        = errors.New("in FIPS 140 mode keys do not leave the process")
	errTLSUnproven = errors.New("crypto/tls behaves differently")
)

// prepareTLS has connections of TLS move. They stay as without Options.MoveTLS
// if this Go release is another one than heirloom knows. HTTP/2 is prepared.
func (h *httpServer) prepareTLS() {
	config, err := h.SessionConfig()
	if err == nil {
		err = canMoveTLS()
	}
	if err != nil {
		h.service.warnTLS(h.Name, err)
		return
	}
	h.Secure(config)
	if h.hijacked.Handler != nil {
		h.hijacked.Movable = true
		h.hijacked.Secure(config)
	}
}

func (s *Service) warnTLS(name string, reason error) {
	s.log.Warn("connections of TLS cannot move: clients will be told to close them", "name", name,
		"go", runtime.Version(), "reason", reason)
}

// canServe reports whether config has a certificate for anybody.
func canServe(config *tls.Config) bool {
	return config != nil && (len(config.Certificates) > 0 || config.GetCertificate != nil || config.GetConfigForClient != nil)
}

// prepareStreams readies the streams of TLS. s.registered.mu is held.
func (s *Service) prepareStreams() {
	for _, server := range s.registered.servers {
		streams, ok := server.(*streamServer)
		if !ok || streams.config == nil {
			continue
		}
		if s.options.MoveTLS && streams.Name != "" {
			if err := canMoveTLS(); err != nil {
				s.warnTLS(streams.Name, err)
			} else {
				streams.Movable = true
			}
		}
		streams.Secure(streams.config)
	}
}

func canMoveTLS() error {
	if fips140.Enabled() {
		return errFIPS
	}
	if err := tlsmove.Rehearse(); err != nil {
		return errors.Join(errTLSUnproven, err)
	}
	return nil
}
