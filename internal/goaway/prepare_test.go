package goaway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/goaway"
)

// transport returns a client for HTTP/2 that takes every certificate.
func transport(t testing.TB, secure bool) *http.Transport {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(secure)
	tr.Protocols.SetUnencryptedHTTP2(!secure)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

type connKey struct{}

type baseKey struct{}

// observed serves two requests on one connection and tells what the handler and
// the hooks have seen.
func observed(t *testing.T, secure, prepare bool) string {
	var mu sync.Mutex
	var seen strings.Builder
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&seen, format+"\n", args...)
	}
	var accepted net.Conn
	var state *tls.ConnectionState // one for all requests of a connection
	closed := make(chan struct{})
	s := newServer(secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		c := ctx.Value(connKey{}).(net.Conn)
		note("%s %s, server %T, local %v, remote %v, base %v", r.Proto, r.URL.Path, ctx.Value(http.ServerContextKey),
			ctx.Value(http.LocalAddrContextKey).(net.Addr).String() == c.LocalAddr().String(),
			r.RemoteAddr == c.RemoteAddr().String(), ctx.Value(baseKey{}))
		if r.TLS != nil {
			note("TLS %s %x %q, %T, %v", r.TLS.NegotiatedProtocol, r.TLS.Version, r.TLS.ServerName, w, r.TLS == state)
			state = r.TLS
		}
	}))
	s.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), baseKey{}, 1) }
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		accepted = c
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		note("%v %T %v", state, c, c == accepted)
		if state == http.StateClosed {
			close(closed)
		}
	}
	if prepare {
		s.Drainer = prepared(t, s.Server, func(c net.Conn, _ *goaway.Streams) { note("opened: %v", c == accepted) })
	}
	s.listen(t)
	tr := transport(t, secure)
	// The first response may come before the transport has put the connection
	// where the second request looks for it, and would open another.
	tr.MaxConnsPerHost = 1
	for _, path := range []string{"/a", "/b"} {
		res, err := (&http.Client{Transport: tr}).Get(s.url(path))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	tr.CloseIdleConnections()
	<-closed
	mu.Lock()
	defer mu.Unlock()
	return seen.String()
}

// TestNothingChanges compares what is seen with and without Prepare.
func TestNothingChanges(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		got, want := observed(t, secure, true), observed(t, secure, false)
		if !strings.Contains(got, "opened: true\n") {
			t.Errorf("opened not called with what Accept returned:\n%s", got)
		}
		if got = strings.Replace(got, "opened: true\n", "", 1); got != want {
			t.Errorf("with Prepare:\n%s\nwithout:\n%s", got, want)
		}
	})
}

// settled tells what a client is told of a server's settings, and what is logged
// of a handler that panics, without TLS when its WriteTimeout is over: TLS would
// count that for its handshake.
func settled(t *testing.T, secure, prepare bool) string {
	logged := make(lines, 10)
	s := newServer(secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !secure {
			<-r.Context().Done()
		}
		panic("as is tested")
	}))
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 7, MaxReceiveBufferPerStream: 99_999}
	s.MaxHeaderBytes = 12_345
	s.ErrorLog = log.New(logged, "", 0)
	if !secure {
		s.WriteTimeout = time.Millisecond
	}
	if prepare {
		s.prepare(t)
	}
	s.listen(t)
	c := hello(t, connect(t, s.addr(), secure))
	c.get("/")
	settings := ""
	for f := (frame{}); f.kind != typeReset; {
		var err error
		if f, err = c.read(); err != nil {
			t.Fatal(err)
		}
		if f.kind == typeSettings {
			settings += fmt.Sprintf("%x", f.payload)
		}
	}
	panicked, _, _ := strings.Cut(<-logged, "\n")
	return "SETTINGS " + settings + "\n" + strings.ReplaceAll(panicked, c.LocalAddr().String(), "client")
}

// lines receives what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestSettings compares what the settings of a server come to with and without
// Prepare.
func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		got, want := settled(t, secure, true), settled(t, secure, false)
		if got != want || !strings.Contains(want, "as is tested") {
			t.Errorf("with Prepare:\n%s\nwithout:\n%s", got, want)
		}
	})
}

// TestServerInContext has the handler find the user's server.
func TestServerInContext(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		found := make(chan any, 1)
		s := start(t, secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			found <- r.Context().Value(http.ServerContextKey)
		}))
		dial(t, s)
		if got := <-found; got != any(s.Server) {
			t.Errorf("found %v", got)
		}
	})
}

// TestNegotiation compares what TLS clients are offered with and without Prepare.
func TestNegotiation(t *testing.T) {
	protocols := func(h1, h2 bool) *http.Protocols {
		p := new(http.Protocols)
		p.SetHTTP1(h1)
		p.SetHTTP2(h2)
		return p
	}
	servers := []struct {
		name      string
		protocols *http.Protocols
		next      []string
	}{
		{"default", nil, nil},
		{"http1", protocols(true, false), nil},
		{"http2", protocols(false, true), nil},
		{"both", protocols(true, true), nil},
		{"http1 first", nil, []string{"http/1.1"}},
		{"another", nil, []string{"acme-tls/1"}},
	}
	clients := [][]string{nil, {"h2"}, {"http/1.1"}, {"h2", "http/1.1"}, {"http/1.1", "h2"}, {"acme-tls/1"}}
	for _, tt := range servers {
		t.Run(tt.name, func(t *testing.T) {
			var seen [2]string
			for i := range seen {
				s := newServer(true, ok)
				s.Protocols, s.TLSConfig.NextProtos = tt.protocols, tt.next
				if i == 1 {
					s.Drainer, _ = goaway.Prepare(s.Server, nil)
				}
				s.listen(t)
				for _, offer := range clients {
					c, err := tls.Dial("tcp", s.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: offer})
					if err != nil {
						seen[i] += fmt.Sprintf("%v: refused\n", offer)
						continue
					}
					seen[i] += fmt.Sprintf("%v: %q\n", offer, c.ConnectionState().NegotiatedProtocol)
					_ = c.Close()
				}
			}
			if seen[0] != seen[1] {
				t.Errorf("without Prepare:\n%s\nwith:\n%s", seen[0], seen[1])
			}
		})
	}
}

// TestLeftAlone lists the servers that Prepare leaves as they are.
func TestLeftAlone(t *testing.T) {
	own := map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(*http.Server, *tls.Conn, http.Handler) {}}
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	tests := []struct {
		name   string
		server *http.Server
		debug  string
	}{
		{"HTTP/2 disabled", &http.Server{TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}, ""},
		{"an HTTP/2 of its own", &http.Server{TLSNextProto: own}, ""},
		{"HTTP/1 only", &http.Server{Protocols: only1}, ""},
		{"cipher suites HTTP/2 refuses", &http.Server{TLSConfig: &tls.Config{
			CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}}, ""},
		{"GODEBUG", &http.Server{}, "http2server=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GODEBUG", tt.debug)
			next := tt.server.TLSNextProto
			d, err := goaway.Prepare(tt.server, nil)
			if d != nil || err != nil {
				t.Errorf("prepared: %v, %v", d != nil, err)
			}
			if tt.server.ConnState != nil || reflect.ValueOf(next).Pointer() != reflect.ValueOf(tt.server.TLSNextProto).Pointer() {
				t.Error("the server is changed")
			}
			d.Drain(0) // nothing to do
		})
	}
}

// TestStrangeEngines has Prepare's check meet an HTTP/2 that behaves differently,
// or to which there is no way.
func TestStrangeEngines(t *testing.T) {
	if goaway.Works(nil) {
		t.Error("no HTTP/2 passes")
	}
	if goaway.Works(func(_ *http.Server, c *tls.Conn, _ http.Handler) {}) {
		t.Error("an HTTP/2 that does nothing passes")
	}
	if goaway.Works(func(_ *http.Server, c *tls.Conn, _ http.Handler) {
		plain := c.NetConn().(interface{ UnencryptedNetConn() net.Conn }).UnencryptedNetConn()
		_, _ = io.WriteString(plain, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = plain.Close()
	}) {
		t.Error("an HTTP/2 that answers something else passes")
	}
}

// TestHookReplaced has the user replace the hook after Prepare: the drain is
// less exact, and ends after the linger.
func TestHookReplaced(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := newServer(secure, ok)
		s.prepare(t)
		s.ConnState = nil
		s.listen(t)
		c := dial(t, s)
		s.Drain(time.Millisecond)
		c.finish()
		s.listener.awaitNone(t)
	})
}

// TestBadPreface has a client that negotiates h2 and speaks something else. No
// hook may call it active.
func TestBadPreface(t *testing.T) {
	s := newServer(true, ok)
	states := make(chan http.ConnState, 10)
	s.ConnState = func(_ net.Conn, state http.ConnState) { states <- state }
	s.prepare(t)
	s.listen(t)
	c := connect(t, s.addr(), true)
	if _, err := io.WriteString(c, strings.Repeat("hello", 10)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c)
	if first, second := <-states, <-states; first != http.StateNew || second != http.StateClosed {
		t.Errorf("states %v, %v", first, second)
	}
}
