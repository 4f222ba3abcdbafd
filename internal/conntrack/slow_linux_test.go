package conntrack_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// A halvedConn sends half of what is written from when it is told to.
type halvedConn struct {
	net.Conn
	halves bool
}

func (c *halvedConn) Write(p []byte) (int, error) {
	if c.halves {
		p = p[:len(p)/2]
	}
	return c.Conn.Write(p)
}

// A lineListener has each connection wait for a line when it is asked for an
// address.
type lineListener struct{ net.Listener }

func (l lineListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &lineConn{nc}, err
}

type lineConn struct{ net.Conn }

func (c *lineConn) RemoteAddr() net.Addr {
	for b := make([]byte, 1); b[0] != '\n'; {
		if _, err := c.Read(b); err != nil {
			break
		}
	}
	return c.Conn.RemoteAddr()
}

// TestSilentButSending has clients send a part of what the server waits for, in a
// drain that is older than a client may be silent: a part of a record of TLS, of
// which nothing is known before it is whole, or of a header that the program
// reads itself. As long as bytes come a client is not silent.
func TestSilentButSending(t *testing.T) {
	const silence = 10 * time.Hour
	const head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n"
	for name, test := range map[string]struct {
		whole, half string
		isTLS       bool
	}{
		"request": {"GET / HT", "TP/1.1\r\nHost: test\r\n", true},
		"body":    {head, "1234567890", true},
		"header":  {"", "PROXY TCP4 ", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServerOf(t, conntrack.Config{Silence: silence})
			s.HTTP = &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })}
			if test.isTLS {
				s.TLS = true
				s.Secure(&tls.Config{Certificates: []tls.Certificate{selfsigned.New()}})
				go s.ServeArrived()
				t.Cleanup(s.Close)
			} else {
				s.Movable, s.Listener = true, lineListener{s.Listener}
			}
			serveUntold(t, s)
			sendHalf(t, s, test.whole, test.half, test.isTLS)
			began := time.Now().Add(-4 * silence)
			if w := s.Registry.Silent(began, true); !w.None() {
				t.Errorf("%+v, want none", w)
			}
		})
	}
}

// sendHalf sends what is to come whole, and a part of half, and returns when the
// server has read that and waits for more.
func sendHalf(t *testing.T, s *conntrack.Server, whole, half string, isTLS bool) {
	t.Helper()
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	socket := &halvedConn{Conn: nc}
	c := net.Conn(socket)
	if isTLS {
		c = tls.Client(socket, &tls.Config{InsecureSkipVerify: true})
	}
	_, err = io.WriteString(c, whole)
	socket.halves = true
	if _, halfErr := io.WriteString(c, half); err != nil || halfErr != nil {
		t.Fatal(errors.Join(err, halfErr))
	}
	if !patience.Until(10*time.Second, func() bool {
		all := s.Registry.All()
		return len(all) == 1 && s.Registry.AreWaiting() == 1 && hasTaken(all[0].Base().Raw, nc)
	}) {
		t.Fatal("the server does not wait for the rest")
	}
}

// hasTaken reports whether all that was written to client was read from server.
func hasTaken(server, client net.Conn) bool {
	var sent, taken uint64
	var isSent, isTaken bool
	fdutil.Control(client, func(fd int) { sent, isSent = fdutil.WrittenTo(fd) })
	taken, isTaken = fdutil.Taken(server)
	return isSent && isTaken && sent-1 == taken // with the SYN
}
