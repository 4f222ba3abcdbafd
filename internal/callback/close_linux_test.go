package callback_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/around"
	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// lingering makes a connection whose client has not read all that was written,
// which is so many bytes, and whose close(2) the program has wait for that
// client: until then, or until a signal comes (sk_stream_wait_close in the
// kernel's net/core/stream.c).
func lingering(t *testing.T) (server *net.TCPConn, client net.Conn, written int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = nc.(*net.TCPConn)
	// What the client has room for is less than the server's buffer has, but
	// more than a segment: it would take long to read with less.
	if err := errors.Join(client.(*net.TCPConn).SetReadBuffer(128<<10), server.SetWriteBuffer(1<<20), server.SetLinger(3600)); err != nil {
		t.Fatal(err)
	}
	for text, n := strings.Repeat("x", 64<<10), 1; n > 0; written += n {
		n = fdutil.TryWrite(server, text)
	}
	return server, client, written
}

type embeds struct{ net.Conn }

// TestCloseLingering closes connections that linger. Nothing waits for their
// clients, which get all that was written.
func TestCloseLingering(t *testing.T) {
	for name, wrap := range map[string]func(*net.TCPConn) net.Conn{
		"alone":         func(c *net.TCPConn) net.Conn { return c },
		"a session":     func(c *net.TCPConn) net.Conn { return &conntrack.Session{Socket: c} },
		"the program's": func(c *net.TCPConn) net.Conn { return around.See(embeds{c}) },
		"crypto/tls":    func(c *net.TCPConn) net.Conn { return tls.Server(c, new(tls.Config)) },
	} {
		t.Run(name, func(t *testing.T) {
			limit := patience.Of(10 * time.Second)
			server, client, written := lingering(t)
			// Nothing starts a process from here on: one that holds copies of both
			// sockets, until it execs, would close them last, and be the one that
			// waits.
			closed := make(chan struct{})
			go callback.Close(silent, wrap(server), func() { close(closed) })
			select {
			case <-closed:
			case <-time.After(limit):
				t.Error("it waits for the client")
			}
			_ = client.SetReadDeadline(time.Now().Add(limit))
			if n, err := io.Copy(io.Discard, client); int(n) != written || err != nil {
				t.Errorf("the client got %d bytes of %d: %v", n, written, err)
			}
			_ = client.Close()
			<-closed
		})
	}
}

// TestCloseShared closes a connection here that goes on in another process, where
// it lingers as it did.
func TestCloseShared(t *testing.T) {
	server, _, _ := lingering(t)
	fd, err := fdutil.Duplicate(server)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "there")
	there, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	here := around.See(embeds{server}).(*around.Conn)
	here.SetPassed(true)
	closed := make(chan struct{})
	callback.Close(silent, here, func() { close(closed) })
	<-closed
	if !fdutil.Lingers(there) {
		t.Error("it does not linger any more")
	}
	_ = there.(*net.TCPConn).SetLinger(0)
	_ = there.Close()
}
