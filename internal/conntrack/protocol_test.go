package conntrack_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// serveUntold serves with s, whose HTTP has no GOAWAY of ours, until the test ends.
func serveUntold(t *testing.T, s *conntrack.Server) {
	t.Helper()
	s.HTTP.ConnState = s.ConnState
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve()
	}()
	t.Cleanup(func() {
		_ = s.Listener.Close()
		<-served
		for _, c := range s.Registry.All() {
			_ = c.Base().Raw.Close()
		}
		if !patience.Until(10*time.Second, func() bool { return s.Registry.Len() == 0 }) {
			t.Error("connections are left")
		}
	})
}

func newServer(t *testing.T) *conntrack.Server {
	t.Helper()
	return newServerOf(t, conntrack.Config{Silence: time.Nanosecond})
}

func newServerOf(t *testing.T, config conntrack.Config) *conntrack.Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return conntrack.NewServer(newRegistry(t, config), listener, "test")
}

// TestUntoldHTTP2 has a handler of an HTTP/2 work of which nobody has told, and
// another of HTTP/1 wait for the rest of a body. The first is work, however
// silent its client is. The second waits for its client, as far as it is known to
// be of HTTP/1.
func TestUntoldHTTP2(t *testing.T) {
	for scheme, http1IsKnown := range map[string]bool{"https": true, "http": false} {
		t.Run(scheme, func(t *testing.T) {
			s := newServer(t)
			begun, finish := make(chan struct{}), make(chan struct{})
			s.TLS = scheme == "https"
			s.HTTP = &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor == 2 {
					close(begun)
					<-finish
				}
				_, _ = io.Copy(io.Discard, r.Body)
			})}
			s.HTTP.Protocols.SetHTTP1(true)
			s.HTTP.Protocols.SetHTTP2(true)
			s.HTTP.Protocols.SetUnencryptedHTTP2(!s.TLS)
			if s.TLS {
				s.HTTP.TLSConfig = &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}}
			}
			serveUntold(t, s)

			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP2(true)
			transport.Protocols.SetUnencryptedHTTP2(true)
			answered := make(chan error, 1)
			go func() {
				response, err := (&http.Client{Transport: transport}).Get(scheme + "://" + s.Listener.Addr().String())
				if err == nil {
					err = response.Body.Close()
				}
				answered <- err
			}()
			<-begun
			checkWaiting(t, s.Registry, 1, 0)

			owes := dialHTTP1(t, s)
			if _, err := io.WriteString(owes, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n123"); err != nil {
				t.Fatal(err)
			}
			if http1IsKnown {
				checkWaiting(t, s.Registry, 1, 1)
			} else {
				checkWaiting(t, s.Registry, 2, 0)
			}
			_ = owes.Close()
			close(finish)
			if err := <-answered; err != nil {
				t.Error(err)
			}
			transport.CloseIdleConnections()
		})
	}
}

// TestOtherProtocolWorks has a function of TLSNextProto serve another protocol
// than HTTP: it is work until it returns, however silent its client is. Sessions
// may move, or be net/http's alone.
func TestOtherProtocolWorks(t *testing.T) {
	for name, moves := range map[string]bool{"moving": true, "staying": false} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.TLS = true
			returned := make(chan struct{})
			config := &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"greeting"}}
			s.HTTP = &http.Server{TLSConfig: config, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
				"greeting": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
					_, _ = io.Copy(io.Discard, c)
					close(returned)
				},
				"nobody's": nil,
			}}
			s.SeeOthers()
			if moves {
				s.Secure(config)
				go s.ServeArrived()
				t.Cleanup(s.Close)
			}
			serveUntold(t, s)
			c, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: config.NextProtos})
			if err != nil {
				t.Fatal(err)
			}
			checkWaiting(t, s.Registry, 1, 0)
			_ = c.Close()
			<-returned
		})
	}
}

// TestStateAfterHijack has the program tell of states of a connection that it has
// taken away, as h2c.NewHandler of golang.org/x/net does where nothing is left in
// net/http's buffer. It stays the handler's.
func TestStateAfterHijack(t *testing.T) {
	s := newServer(t)
	s.HTTP = new(http.Server)
	s.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		s.HTTP.ConnState(nc, http.StateActive)
		_, _ = io.Copy(io.Discard, nc)
	})
	serveUntold(t, s)
	c := dialHTTP1(t, s)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	want := conntrack.Counts{Hijacked: 1}
	if !patience.Until(10*time.Second, func() bool { work, waiting := s.Registry.Remains(); return work == want && waiting.None() }) {
		t.Errorf("counts %+v, want %+v", s.Registry.Count(), want)
	}
	_ = c.Close()
}

func dialHTTP1(t *testing.T, s *conntrack.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if s.TLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c
}

// checkWaiting waits until so many connections are work, and so many wait for the
// rest of a request, at the deadline of a drain and for clients that are silent.
// What waits for its client is in a Read, and so is what net/http reads ahead.
func checkWaiting(t *testing.T, r *conntrack.Registry, work, requests int) {
	t.Helper()
	var got [3]int
	if !patience.Until(10*time.Second, func() bool {
		active, waiting := r.Remains()
		silent := r.Silent(time.Now().Add(-time.Hour), true)
		got = [3]int{active.Active, waiting.Requests, silent.Requests}
		return r.AreReading() == work+requests && got == [3]int{work, requests, requests}
	}) {
		t.Errorf("work, what waits at the end, and what is silent: %v, want %d, %d, %d", got, work, requests, requests)
	}
}
