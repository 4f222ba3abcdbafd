package conntrack

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
)

// judgeProtocol is told of http.StateActive, before the first request of HTTP/2
// and with that of HTTP/1.
func (s *Server) judgeProtocol(c *conn, nc net.Conn) {
	if c.body.protocol.Load() == unjudged {
		c.body.protocol.Store(s.protocolOf(nc))
	}
}

func (s *Server) protocolOf(nc net.Conn) int32 {
	secure, isTLS := nc.(connectionStater)
	switch {
	case s.SaysGoAway:
		return told
	case isTLS:
		switch secure.ConnectionState().NegotiatedProtocol {
		case "", "http/1.1", "http/1.0": // as in validNextProto of net/http
			return told
		}
		return untold
	case s.SpeaksH2C(): // any of them may be one of HTTP/2
		return untold
	default:
		return told
	}
}

// SpeaksH2C reports whether HTTP speaks HTTP/2 without TLS.
func (s *Server) SpeaksH2C() bool {
	return s.HTTP.Protocols != nil && s.HTTP.Protocols.UnencryptedHTTP2()
}

// SeeOthers has s see which connections a function of the program's TLSNextProto
// serves that do not speak HTTP/2: net/http tells nobody of their states. Nothing
// is known of them, so each counts as a request until the function returns, as
// for http.Server.Shutdown. It is called before Serve.
func (s *Server) SeeOthers() {
	protocols := maps.Clone(s.HTTP.TLSNextProto)
	for name, serve := range protocols {
		if serve == nil || name == "h2" || name == "unencrypted_http2" {
			continue
		}
		protocols[name] = func(server *http.Server, nc *tls.Conn, h http.Handler) {
			if c := s.find(nc); c != nil {
				c.body.protocol.Store(untold)
				c.changed(http.StateActive)
			}
			serve(server, nc, h)
		}
	}
	s.HTTP.TLSNextProto = protocols
}
