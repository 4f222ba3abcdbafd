package goaway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/goaway"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// long is a linger that no test sees the end of.
const long = time.Hour

func TestMain(m *testing.M) { leakcheck.Main(m) }

var certificate = sync.OnceValue(func() tls.Certificate { return selfsigned.New() })

// kinds are the two ways to HTTP/2.
var kinds = []struct {
	name   string
	secure bool
}{{"tls", true}, {"h2c", false}}

// each runs a test for both kinds of connection.
func each(t *testing.T, test func(t *testing.T, secure bool)) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.secure) })
	}
}

// A server is an http.Server with HTTP/2 whose connections are counted.
type server struct {
	*http.Server
	*goaway.Drainer
	listener *counter
	secure   bool
	served   chan error
}

// newServer makes a server that does not serve yet.
func newServer(secure bool, handler http.Handler) *server {
	s := &server{Server: &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}, secure: secure}
	if secure {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	} else {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
	}
	return s
}

// start starts a drainable server on a port of its own.
func start(t testing.TB, secure bool, handler http.Handler) *server {
	t.Helper()
	s := newServer(secure, handler)
	s.prepare(t)
	s.listen(t)
	return s
}

func (s *server) prepare(t testing.TB) {
	t.Helper()
	s.Drainer = prepared(t, s.Server, nil)
}

// prepared prepares a server with HTTP/2.
func prepared(t testing.TB, s *http.Server, opened func(net.Conn, *goaway.Streams)) *goaway.Drainer {
	t.Helper()
	d, err := goaway.Prepare(s, opened)
	if d == nil {
		t.Fatalf("not prepared, with %s: %v", runtime.Version(), err)
	}
	return d
}

func (s *server) listen(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.serve(l)
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

func (s *server) serve(l net.Listener) {
	s.listener = &counter{Listener: l, changed: make(chan struct{}, 1)}
	s.served = make(chan error, 1)
	go func() {
		if s.secure {
			s.served <- s.ServeTLS(s.listener, "", "")
		} else {
			s.served <- s.Serve(s.listener)
		}
	}()
}

func (s *server) addr() string { return s.listener.Addr().String() }

// url is the address of a page of the server.
func (s *server) url(path string) string {
	if s.secure {
		return "https://" + s.addr() + path
	}
	return "http://" + s.addr() + path
}

// counter counts the connections between Accept and Close.
type counter struct {
	net.Listener
	mu      sync.Mutex
	open    map[*counted]struct{}
	total   int
	changed chan struct{}
}

type counted struct {
	net.Conn
	l *counter
}

func (l *counter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[*counted]struct{})
	}
	cc := &counted{Conn: c, l: l}
	l.open[cc] = struct{}{}
	l.total++
	l.wake()
	return cc, nil
}

func (c *counted) Close() error {
	c.l.mu.Lock()
	delete(c.l.open, c)
	c.l.wake()
	c.l.mu.Unlock()
	return c.Conn.Close()
}

func (l *counter) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// await waits until a condition on the number of open connections, and of those
// ever accepted, holds.
func (l *counter) await(t testing.TB, what string, ok func(open, total int) bool) {
	t.Helper()
	ctx, cancel := patience.Context(context.Background(), limit)
	defer cancel()
	for {
		l.mu.Lock()
		open, total := len(l.open), l.total
		l.mu.Unlock()
		if ok(open, total) {
			return
		}
		select {
		case <-l.changed:
		case <-ctx.Done():
			t.Fatalf("%s: %d of %d connections open", what, open, total)
		}
	}
}

func (l *counter) awaitNone(t testing.TB) {
	t.Helper()
	l.await(t, "waiting for all connections to end", func(open, _ int) bool { return open == 0 })
}

// closeAll is what the caller does at its deadline.
func (l *counter) closeAll() {
	l.mu.Lock()
	var open []*counted
	for c := range l.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
