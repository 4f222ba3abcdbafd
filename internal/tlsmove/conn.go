package tlsmove

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A Conn is the server's side of a TLS connection: of crypto/tls where the
// handshake was made, and of this package's record layer where it was adopted.
//
// It is used as a *tls.Conn is: one goroutine may read while another writes. An
// http.Server that serves it over a plain listener sets Request.TLS from its
// ConnectionState (the connectionStater of net/http's conn.serve), as long as
// the handshake is complete.
type Conn struct {
	nc      net.Conn
	tap     *tap      // under std
	std     *tls.Conn // nil if it was adopted
	adopted *adopted  // nil if it was not
	drained atomic.Bool
}

// An adopted Conn has its own record layer, and remembers the handshake.
type adopted struct {
	recordLayer
	state tls.ConnectionState
}

var _ net.Conn = (*Conn)(nil)

// Server makes a connection of nc, which it takes ownership of, as tls.Server
// does. config is one of Config.
func Server(nc net.Conn, config *tls.Config) *Conn {
	t := &tap{Conn: nc}
	t.in.foreign = true
	return &Conn{nc: nc, tap: t, std: tls.Server(t, config)}
}

// HandshakeContext is that of tls.Conn. It must have returned nil before any
// other use.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	if c.std == nil {
		return nil
	}
	err := c.std.HandshakeContext(ctx)
	c.tap.giveBack()
	if err != nil {
		return err
	}
	c.tap.established(c.std.ConnectionState().CipherSuite)
	return nil
}

// Standard returns the *tls.Conn, whose NetConn's NetConn is what Server was
// given. It is what a server must be given of a connection that Judge says will
// never move: net/http looks for the type before it speaks HTTP/2. It is nil for
// an adopted connection.
func (c *Conn) Standard() *tls.Conn { return c.std }

// Under returns what is below a *tls.Conn: what Server was given if it is the
// Standard of a Conn.
func Under(std *tls.Conn) net.Conn {
	if t, ok := std.NetConn().(*tap); ok {
		return t.Conn
	}
	return std.NetConn()
}

// NetConn returns the connection below: what Server or Adopt was given.
func (c *Conn) NetConn() net.Conn { return c.nc }

// ConnectionState returns the state of the session. Of an adopted one that
// is all that crypto/tls knew, but for LocalCertificate, and for
// ExportKeyingMaterial, which returns an error: the secret for it has not moved.
func (c *Conn) ConnectionState() tls.ConnectionState {
	if c.std == nil {
		return c.adopted.state
	}
	return c.std.ConnectionState()
}

// Judge returns a Refusal if the connection will never move, whatever it does.
// The handshake must be complete.
func (c *Conn) Judge() error {
	state := c.ConnectionState()
	return judge(&state)
}

// Read is that of tls.Conn, but for the end of a stream that the client did not
// announce by a close_notify: it matches io.ErrUnexpectedEOF, never io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if c.std == nil {
		return c.adopted.read(p)
	}
	c.drained.Store(false)
	n, err := c.std.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.drained.Store(n == 0) // crypto/tls went to the network, so it holds no data
	} else if err == io.EOF && c.tap.wasCut() {
		err = truncated(c.nc, err)
	}
	return n, err
}

// Rest says that the next Read may wait for long. It is for the goroutine that
// reads.
func (c *Conn) Rest() {
	if c.std == nil {
		c.adopted.rest()
	}
}

// HasPart reports whether something has come that Read has not returned, such as
// a part of a record. It is for the goroutine that reads.
func (c *Conn) HasPart() bool {
	if c.std == nil {
		return c.adopted.hasPart()
	}
	return c.tap.hasPart()
}

// HoldReads says whether Read may begin another record. On hold it returns what
// had come before, then the rest of a record that has begun, and then
// os.ErrDeadlineExceeded: what comes next stays in the connection below, for who
// adopts that. Otherwise a client that never pauses would always have begun a
// record. It is for the goroutine that reads.
func (c *Conn) HoldReads(hold bool) {
	if c.std == nil {
		c.adopted.holdReads(hold)
		return
	}
	c.tap.holdReads(hold)
}

// Write is that of tls.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.std == nil {
		return c.adopted.write(p)
	}
	return c.std.Write(p)
}

// CloseWrite sends a close_notify. The client may go on.
func (c *Conn) CloseWrite() error {
	if c.std == nil {
		return c.adopted.closeWrite()
	}
	return c.std.CloseWrite()
}

// Close sends a close_notify and closes the connection below. After Export it
// does nothing: another owns that one.
func (c *Conn) Close() error {
	if c.std == nil {
		if !c.adopted.outMu.TryLock() { // a Write is under way, and to be broken off: as in crypto/tls
			return c.nc.Close()
		}
		c.adopted.outMu.Unlock()
		if err := c.adopted.closeWrite(); errors.Is(err, ErrMoved) {
			return nil
		}
		return c.nc.Close()
	}
	if c.tap.isGone() {
		return nil
	}
	return c.std.Close()
}

// LocalAddr is that of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr is that of the connection below.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// SetReadDeadline is that of tls.Conn: a Read that is over time may be repeated.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// SetWriteDeadline is that of tls.Conn: after a Write that is over time no other
// works.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }
