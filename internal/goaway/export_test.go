package goaway

import (
	"crypto/tls"
	"net"
	"net/http"
)

// Works is the check that Prepare makes, of any implementation, or of none.
func Works(next func(*http.Server, *tls.Conn, http.Handler)) bool {
	return works(func(owner *http.Server) *engine {
		if next == nil {
			return nil
		}
		return &engine{serve: throughTLSNextProto(owner, next)}
	})
}

// Boundaries feeds a stream, in pieces, and returns where frames end in it: by
// advance, and by rest.
func Boundaries(pieces [][]byte) (advance, rest []int) {
	var f, g framing
	at := 0
	for _, p := range pieces {
		for i := range p {
			f.advance(p[i : i+1])
			if f.between() {
				advance = append(advance, at+i+1)
			}
		}
		for q := p; len(q) > 0; {
			n := g.rest(q)
			g.advance(q[:n])
			q = q[n:]
			if g.between() {
				rest = append(rest, at+len(p)-len(q))
			}
		}
		at += len(p)
	}
	return advance, rest
}

// Announce is the frames of the first GOAWAY and its PING.
var Announce = frameAnnounce

// Layer is a conn over c whose end begins when it is told.
type Layer struct{ *conn }

func NewLayer(c net.Conn) Layer { return Layer{&conn{Conn: c}} }

// Announce sends the first GOAWAY, as begin does on a goroutine.
func (l Layer) Announce() { l.send(frameAnnounce) }
