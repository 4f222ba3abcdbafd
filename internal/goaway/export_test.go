package goaway

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
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

// Follow returns how many streams are open after what a client and HTTP/2 have
// sent.
func Follow(read, wrote [][]byte) int {
	ours, theirs := net.Pipe()
	c := newConn(ours)
	go func() {
		for _, p := range read {
			_, _ = theirs.Write(p)
		}
		_ = theirs.Close()
	}()
	_, _ = io.Copy(io.Discard, c)
	_ = ours.Close()
	for _, p := range wrote {
		c.out.advance(p)
	}
	responses, requests, handlers := c.streams.Waiting(0)
	return responses + requests + handlers
}

// IsInterim reports whether a block of header fields is that of an interim
// response.
var IsInterim = isInterim

// MaxOpen is how many open streams are followed.
const MaxOpen = maxOpen

// AskOften has the streams of a connection that was told of its end open and end
// so many times, while its client reads nothing, and may yet send ACKs. It
// returns how many PINGs that makes.
func AskOften(times int, acknowledges bool) int {
	ours, theirs := net.Pipe()
	c := newConn(ours)
	c.stage.Store(told)
	c.out.advance([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS are always the first
	for range times {
		c.setIdle(false)
		c.setIdle(true)
		for range 100 { // for who asks to come as far as it does
			runtime.Gosched()
		}
		c.still.Store(false) // as when a stream opens
		if acknowledges {
			_ = c.acknowledged(tokenIdle)
		}
	}
	_, _ = theirs.Close(), ours.Close()
	for c.asking.Load() {
		runtime.Gosched()
	}
	return int(c.asked.Load())
}

// Announce is the frames of the first GOAWAY and its PING.
var Announce = frameAnnounce

// Layer is a conn over c whose end begins when it is told.
type Layer struct{ *conn }

func NewLayer(c net.Conn) Layer { return Layer{newConn(c)} }

// Announce sends the first GOAWAY, as begin does on a goroutine.
func (l Layer) Announce() { l.send(frameAnnounce) }
