package httpserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/httpserver"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// prepare prepares given to serve what a listener accepts.
func prepare(host *httpserver.Shared, given *http.Server, l net.Listener) (*httpserver.Server, *conntrack.Registry) {
	registry := conntrack.New(conntrack.Config{Close: func(c io.Closer) { callback.Close(hclog.NewNullLogger(), c, func() {}) }})
	s := httpserver.New(host, conntrack.NewServer(registry, l, "http"), given, false)
	if err := s.Prepare(); err != nil {
		panic(err)
	}
	return s, registry
}

// start prepares and serves given until the test ends.
func start(t *testing.T, host *httpserver.Shared, given *http.Server) (*httpserver.Server, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, host, given, l), l
}

// startOn is start on a listener, which it closes.
func startOn(t *testing.T, host *httpserver.Shared, given *http.Server, l net.Listener) *httpserver.Server {
	t.Helper()
	s, registry := prepare(host, given, l)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
		for _, c := range registry.All() {
			_ = c.Base().Raw.Close()
		}
	})
	return s
}

func get(t *testing.T, l net.Listener) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

type key string

// TestTransparent has the functions of the program see what net/http alone
// would show them.
func TestTransparent(t *testing.T) {
	for name, onShutdown := range map[string]func(){"as it is": nil, "with RegisterOnShutdown": func() {}} {
		t.Run(name, func(t *testing.T) {
			var based net.Listener
			var problems []string
			states := make(chan http.ConnState, 8)
			given := &http.Server{
				BaseContext: func(l net.Listener) context.Context {
					based = l
					return context.WithValue(context.Background(), key("base"), true)
				},
				ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
					if _, ok := nc.(*net.TCPConn); !ok {
						problems = append(problems, "ConnContext does not see a *net.TCPConn")
					}
					return context.WithValue(ctx, key("conn"), true)
				},
				ConnState: func(nc net.Conn, state http.ConnState) {
					if _, ok := nc.(*net.TCPConn); ok {
						states <- state
					}
				},
			}
			given.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.Context().Value(key("base")) == nil || r.Context().Value(key("conn")) == nil {
					problems = append(problems, "a request lacks what BaseContext or ConnContext has set")
				}
				if r.Context().Value(http.ServerContextKey) != given {
					problems = append(problems, "a request is not of the server that was given")
				}
			})
			if onShutdown != nil {
				given.RegisterOnShutdown(onShutdown)
			}
			_, l := start(t, &httpserver.Shared{Requests: context.Background(), Log: hclog.NewNullLogger()}, given)
			get(t, l)
			for _, want := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateClosed} {
				if state := <-states; state != want {
					t.Errorf("ConnState was told %v, want %v", state, want)
				}
			}
			if based != l {
				t.Errorf("BaseContext was given %v", based)
			}
			if len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

// TestDrain runs the functions of RegisterOnShutdown, and ends the contexts of
// requests with the one of the service.
func TestDrain(t *testing.T) {
	requests, cancel := context.WithCancelCause(context.Background())
	ran, answering := make(chan struct{}), make(chan struct{})
	causes := make(chan error, 1)
	errOver := errors.New("over")
	given := &http.Server{
		BaseContext: func(net.Listener) context.Context { return context.Background() },
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(answering)
			<-r.Context().Done()
			causes <- context.Cause(r.Context())
		}),
	}
	given.RegisterOnShutdown(func() { close(ran) })
	s, l := start(t, &httpserver.Shared{Requests: requests, Log: hclog.NewNullLogger()}, given)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		get(t, l)
	}()
	<-answering
	s.Drain()
	<-ran
	cancel(errOver)
	if cause := <-causes; !errors.Is(cause, errOver) {
		t.Errorf("the request was cancelled for %v", cause)
	}
	<-asked
}

// TestHiddenFields has the given server serve if it knows more than its fields
// say. Then nothing runs the functions of RegisterOnShutdown, and the log says
// so.
func TestHiddenFields(t *testing.T) {
	var log bytes.Buffer
	given := &http.Server{Handler: http.NotFoundHandler()}
	given.RegisterOnShutdown(func() { t.Error("it ran") })
	given.SetKeepAlivesEnabled(false)
	s, l := start(t, &httpserver.Shared{Requests: context.Background(), Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, given)
	get(t, l)
	s.Drain()
	if s.HTTP != given || !strings.Contains(log.String(), "the functions of RegisterOnShutdown will not run") {
		t.Errorf("it serves itself: %v; the log is %q", s.HTTP == given, &log)
	}
}

// TestPanicOfConnState is logged, and ends nothing.
func TestPanicOfConnState(t *testing.T) {
	var log bytes.Buffer
	closed := make(chan struct{})
	given := &http.Server{Handler: http.NotFoundHandler(), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			panic("a bad day")
		case http.StateClosed:
			close(closed)
		}
	}}
	_, l := start(t, &httpserver.Shared{Requests: context.Background(), Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, given)
	get(t, l)
	<-closed
	if !strings.Contains(log.String(), "a bad day") {
		t.Errorf("the log is %q", &log)
	}
}

// TestPlainHasNoHTTP2 has net/http set no HTTP/2 up where no client can speak
// it, and serve it where one can. What the program has set stays.
func TestPlainHasNoHTTP2(t *testing.T) {
	protocols := func(set func(*http.Protocols, bool)) *http.Protocols {
		p := new(http.Protocols)
		p.SetHTTP1(true)
		set(p, true)
		return p
	}
	secure := func() *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"h2"}}
	}
	own := map[string]func(*http.Server, *tls.Conn, http.Handler){"other": nil}
	for name, test := range map[string]struct {
		given  *http.Server
		secure bool // the listener speaks TLS itself
		want   []string
		major  int // of the protocol that a client speaks
	}{
		"plain":             {given: &http.Server{}, want: nil, major: 1},
		"h2c":               {given: &http.Server{Protocols: protocols((*http.Protocols).SetUnencryptedHTTP2)}, want: []string{"h2", "unencrypted_http2"}, major: 2},
		"TLS":               {given: &http.Server{TLSConfig: secure()}, want: []string{"h2", "unencrypted_http2"}, major: 2},
		"TLS of listener's": {given: &http.Server{}, secure: true, want: []string{"h2", "unencrypted_http2"}, major: 2},
		"set":               {given: &http.Server{TLSNextProto: own}, want: []string{"other"}, major: 1},
	} {
		t.Run(name, func(t *testing.T) {
			leakcheck.Check(t)
			test.given.Handler = http.NotFoundHandler()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if test.secure {
				l = tls.NewListener(l, secure())
			}
			startOn(t, &httpserver.Shared{Requests: t.Context(), Log: hclog.NewNullLogger()}, test.given, l)
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(test.major == 1)
			transport.Protocols.SetHTTP2(test.major == 2)
			scheme := "http"
			if test.secure || test.given.TLSConfig != nil {
				scheme = "https"
			} else if test.major == 2 {
				transport.Protocols.SetUnencryptedHTTP2(true)
			}
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Get(scheme + "://" + l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.ProtoMajor != test.major {
				t.Errorf("a client speaks %s", response.Proto)
			}
			if got := slices.Sorted(maps.Keys(test.given.TLSNextProto)); test.given.TLSNextProto == nil || !slices.Equal(got, test.want) {
				t.Errorf("net/http knows %q, want %q", got, test.want)
			}
		})
	}
}

// TestOtherProtocol counts a connection that a function of TLSNextProto serves as
// a request.
func TestOtherProtocol(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	given := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"greeting"}},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){"greeting": func(*http.Server, *tls.Conn, http.Handler) {
			close(begun)
			<-finish
		}},
	}
	s, l := start(t, &httpserver.Shared{Requests: t.Context(), Log: hclog.NewNullLogger()}, given)
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"greeting"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-begun
	if got, want := s.Registry.Count(), (conntrack.Counts{Active: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	close(finish)
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
}
