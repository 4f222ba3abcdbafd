package httpserver

import (
	"crypto/tls"
	"errors"
	"net/http"
	"slices"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

var errOwnHTTP2 = errors.New("its HTTP/2 cannot be set up in advance")

// prepareTLS has connections of TLS move. If this Go release is another one than
// heirloom knows they stay. HTTP/2 is prepared.
func (s *Server) prepareTLS() {
	config, err := s.SessionConfig()
	if err == nil {
		err = tlsmove.Usable()
	}
	if err != nil {
		tlsmove.Warn(s.shared.Log, s.Name, err)
		return
	}
	s.Secure(config)
	if s.Hijacked.Handler != nil {
		s.Hijacked.Movable = true
		s.Hijacked.Secure(config)
	}
}

// SessionConfig returns the configuration that ServeTLS of net/http would make
// (adjustNextProtos in server.go). It sets up an HTTP/2 as well where nobody
// has done so; that is too late for connections whose handshake is over.
func (s *Server) SessionConfig() (*tls.Config, error) {
	_, hasHTTP2 := s.HTTP.TLSNextProto["h2"]
	protocols := s.HTTP.Protocols
	if protocols == nil {
		protocols = new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(hasHTTP2)
	}
	if s.IsAbrupt || protocols.HTTP2() && !hasHTTP2 {
		return nil, errOwnHTTP2
	}
	config := s.HTTP.TLSConfig.Clone()
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(name string) bool {
		return name == "h2" && !protocols.HTTP2() || name == "http/1.1" && !protocols.HTTP1()
	})
	if protocols.HTTP2() && !slices.Contains(config.NextProtos, "h2") {
		config.NextProtos = append(config.NextProtos, "h2")
	}
	if protocols.HTTP1() && !slices.Contains(config.NextProtos, "http/1.1") {
		config.NextProtos = append(config.NextProtos, "http/1.1")
	}
	return config, nil
}
