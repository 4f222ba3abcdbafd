package conntrack

import (
	"io"
	"net"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// A tcpConn is a TCP connection as its http.Server sees it. Embedding keeps
// sendfile (ReadFrom) and CloseWrite.
type tcpConn struct {
	*net.TCPConn
	conn
	own ledger.Mark
}

func (c *tcpConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *tcpConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *tcpConn) Close() error                      { return c.close() }
func (c *tcpConn) inner() net.Conn                   { return c.TCPConn }

// NetConn returns the *net.TCPConn, for a handler that hijacks the connection.
// The one to close is c: the drain waits for that.
func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }

// newTCP returns raw for its server. keeps says that it may be kept in a ledger,
// and counts that the ledger is to know what is written.
func newTCP(raw *net.TCPConn, keeps, counts bool) (net.Conn, *conn) {
	if keeps && counts {
		t := &notedConn{tcpConn{TCPConn: raw}}
		t.own.CountWritten()
		t.mark = &t.own
		return t, &t.conn
	}
	t := &tcpConn{TCPConn: raw}
	if keeps {
		t.mark = &t.own
	}
	return t, &t.conn
}

// A notedConn is a tcpConn that counts what is written. What does not come by
// these methods, as by net.Buffers, is not counted: net/http does not do that.
type notedConn struct{ tcpConn }

func (c *notedConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.own.Wrote(n)
	return n, err
}

func (c *notedConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	c.own.Wrote(int(n))
	return n, err
}

// A unixConn is the same for a Unix stream connection.
type unixConn struct {
	*net.UnixConn
	conn
}

func (c *unixConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *unixConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *unixConn) Close() error                      { return c.close() }
func (c *unixConn) inner() net.Conn                   { return c.UnixConn }

// NetConn returns the *net.UnixConn. See tcpConn.NetConn.
func (c *unixConn) NetConn() net.Conn { return c.UnixConn }

// A throughConn is an around.Conn as its http.Server sees it.
type throughConn struct {
	*around.Conn
	conn
}

func (c *throughConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *throughConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *throughConn) Close() error                      { return c.close() }
func (c *throughConn) RemoteAddr() net.Addr              { return c.ask(c.Conn.RemoteAddr) }
func (c *throughConn) LocalAddr() net.Addr               { return c.ask(c.Conn.LocalAddr) }
func (c *throughConn) inner() net.Conn                   { return c.Conn }

// NetConn returns the program's connection. See tcpConn.NetConn.
func (c *throughConn) NetConn() net.Conn { return c.Conn.Conn }

// CloseWrite is for a server that has refused a request.
func (c *throughConn) CloseWrite() error {
	if half, ok := c.Conn.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// A throughReaderFrom is one of a connection that knows sendfile.
type throughReaderFrom struct {
	*throughConn
	io.ReaderFrom
}

// newThrough returns t for its server.
func newThrough(t *around.Conn) (net.Conn, *conn) {
	t.SetPassed(false)
	c := &throughConn{Conn: t}
	if from, ok := t.Conn.(io.ReaderFrom); ok {
		return &throughReaderFrom{c, from}, &c.conn
	}
	return c, &c.conn
}

// RemoteAddr returns the address of the other end of nc, never nil.
//
// The kernel does not know it any more if the connection came from another
// process and its client has reset it on the way. Then it is an address without
// a host, rather than the nil that nobody who asks for its String expects.
func RemoteAddr(nc net.Conn) net.Addr {
	if a := nc.RemoteAddr(); a != nil {
		return a
	}
	if _, ok := nc.(*net.UnixConn); ok {
		return &net.UnixAddr{Net: "unix"}
	}
	return &net.TCPAddr{}
}

func (c *tcpConn) RemoteAddr() net.Addr  { return RemoteAddr(c.TCPConn) }
func (c *unixConn) RemoteAddr() net.Addr { return RemoteAddr(c.UnixConn) }

// Underlying returns the connection that a listener returned and a Server
// wrapped, or nc itself.
func Underlying(nc net.Conn) net.Conn {
	if wrapped, ok := nc.(interface{ inner() net.Conn }); ok {
		return wrapped.inner()
	}
	return nc
}

// Seen returns what the program's own functions see of a connection: what the
// listener returned, as with net/http alone. The exception is a connection
// whose other end the kernel does not know any more, see RemoteAddr: those
// functions do not expect an address that is nil, so they see the wrapper.
func Seen(nc net.Conn) net.Conn {
	raw := Underlying(nc)
	if t, ok := raw.(*around.Conn); ok {
		return t.Conn
	}
	switch raw.(type) {
	case *net.TCPConn, *net.UnixConn, *tlsmove.Conn:
		if raw.RemoteAddr() == nil {
			return nc
		}
	}
	return raw
}
