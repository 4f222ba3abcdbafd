package conntrack_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// TestOtherProtocols has clients of TLS that could move, and that negotiate
// another protocol than HTTP. net/http hands it to the function for it, or
// closes the connection.
func TestOtherProtocols(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := newRegistry(t, conntrack.Config{})
	server := conntrack.NewServer(registry, listener, "test")
	server.TLS = true
	server.HTTP = &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("a request of %s", r.RemoteAddr) }),
		ConnState: server.ConnState,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){"greeting": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}},
	}
	server.Secure(&tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"greeting", "acme-tls/1"}})
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	go server.ServeArrived()
	for protocol, want := range map[string]string{"greeting": "hello", "acme-tls/1": ""} {
		c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		if got, err := io.ReadAll(c); string(got) != want {
			t.Errorf("%s: %q, %v, want %q", protocol, got, err, want)
		}
		_ = c.Close()
	}
	if stayed := registry.Sessions().Stayed["protocol"]; stayed != 2 {
		t.Errorf("%d stayed for their protocol, want 2", stayed)
	}
	_ = listener.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	server.Close()
}
