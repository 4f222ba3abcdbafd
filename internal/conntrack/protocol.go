package conntrack

import "net"

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
