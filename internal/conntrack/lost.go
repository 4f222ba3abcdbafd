package conntrack

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// lostResponse is the response to a request that died with its process. It has
// no body: the request may be a HEAD.
const lostResponse = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

const (
	// lostTime is how long the client of a lostConn has to read the response
	// and close the connection. Some send the whole of a request before they
	// read.
	lostTime = 30 * time.Second
	// lostTimeDraining is that in a drain, as rstAvoidanceDelay of net/http.
	lostTimeDraining = 500 * time.Millisecond
)

// A lostConn is a connection of which a request was read by a process that has
// died. It counts for nothing but that the drain waits for it.
type lostConn struct {
	Info
	hurry sync.Once
}

var _ Conn = (*lostConn)(nil)

// CountWritten has connections that are kept from now on answered by the process
// that finds them with a request whose response had not begun: see
// Server.AnswerLost.
func (r *Registry) CountWritten() { r.countsWritten.Store(true) }

// AnswerLost takes ownership of a connection of which a request was read, and
// none of its response written, by a process that has died. The request is
// answered with a 500 and the connection closed. AnswerLost does not wait. It
// reports false, and takes nothing, where it may be no connection of HTTP/1.
func (s *Server) AnswerLost(f *ledger.Found) bool {
	nc, ok := f.Conn.(*net.TCPConn)
	if !ok || !s.Movable || s.TLS || f.IsNew() && s.knowsHTTP2() {
		return false
	}
	c := new(lostConn)
	c.Raw, c.Endpoint = nc, &s.Endpoint
	c.cut.Store(true)
	_ = nc.SetDeadline(time.Now().Add(lostTime))
	// At once: in a drain the time may be over before a goroutine has begun.
	rest := lostResponse[fdutil.TryWrite(nc, lostResponse):]
	s.Registry.Add(c)
	c.Release()
	go c.answer(nc, rest)
	return true
}

// knowsHTTP2 reports whether the first bytes of a connection may be those of
// HTTP/2.
func (s *Server) knowsHTTP2() bool {
	return s.HTTP.Protocols != nil && s.HTTP.Protocols.UnencryptedHTTP2()
}

// answer writes the rest of the response, and reads what the client still sends
// until that closes the connection: bytes that nobody reads would have the
// kernel reset it, and the client lose the response.
func (c *lostConn) answer(nc *net.TCPConn, rest string) {
	var err error
	if rest != "" { // a Write of nothing fails as well when the time is over
		_, err = io.WriteString(nc, rest)
	}
	if err == nil && nc.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, nc)
	}
	fdutil.ShutDown(nc) // the ledger may have a duplicate
	_ = Close(c)
}

// Release gives the client less time, in a drain.
func (c *lostConn) Release() {
	if c.Endpoint.Phase() != Serving {
		c.hurry.Do(func() { _ = c.Raw.SetDeadline(time.Now().Add(lostTimeDraining)) })
	}
}

// Restore does nothing: the connection never leaves the process.
func (c *lostConn) Restore(bool) {}
