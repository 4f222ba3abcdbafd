package framework_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/framework"
)

// A counted listener is one that a framework puts around its own.
type counted struct{ net.Listener }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// certified is a configuration by which to tell.
func certified() *tls.Config {
	return &tls.Config{Certificates: make([]tls.Certificate, 1), ServerName: "here"}
}

func none(*http.Server, *tls.Conn, http.Handler) {}

// TestServed has frameworks of all kinds serve, and looks at what is learned.
func TestServed(t *testing.T) {
	for name, test := range map[string]struct {
		serve   func(*http.Server, net.Listener) error
		tls     bool   // there is TLS
		want    string // of the error
		entries int    // that TLSNextProto has
	}{
		"Serve": {serve: (*http.Server).Serve},
		"ServeTLS": {tls: true, serve: func(s *http.Server, l net.Listener) error {
			s.TLSConfig = certified()
			return s.ServeTLS(l, "", "")
		}},
		"TLS of its own": {tls: true, serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(tls.NewListener(l, certified()))
		}},
		"without HTTP/2": {tls: true, serve: func(s *http.Server, l net.Listener) error {
			s.TLSConfig, s.TLSNextProto = certified(), map[string]func(*http.Server, *tls.Conn, http.Handler){}
			return s.ServeTLS(l, "", "")
		}},
		"HTTP/2 of its own": {entries: 1, serve: func(s *http.Server, l net.Listener) error {
			s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": none}
			return s.Serve(l)
		}},
		"a listener around": {want: "framework_test.counted is around it", serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(counted{l})
		}},
		"a pointer to one": {want: "*framework_test.counted is around it", serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(&counted{l})
		}},
		"one around TLS": {want: "framework_test.counted is around it", serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(counted{tls.NewListener(l, certified())})
		}},
		"one under TLS": {want: "framework_test.counted is around it", serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(tls.NewListener(counted{l}, certified()))
		}},
		"TLS twice": {want: "listener is around it", serve: func(s *http.Server, l net.Listener) error {
			return s.Serve(tls.NewListener(tls.NewListener(l, certified()), certified()))
		}},
		"another server": {want: "the server serves 0 listeners", serve: func(_ *http.Server, l net.Listener) error {
			return http.Serve(l, nil)
		}},
		"no server": {want: "the server serves 0 listeners", serve: func(_ *http.Server, l net.Listener) error {
			_, err := l.Accept()
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := &http.Server{Addr: "here"}
			l := framework.NewListener(listen(t), server)
			handler := http.NewServeMux()
			ended := make(chan error, 1)
			go func() {
				server.Handler = handler // as late as this
				ended <- test.serve(server, l)
			}()
			<-l.Accepted()
			switch err := l.Err(); {
			case test.want != "":
				if !errors.Is(err, framework.ErrOther) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one that says %q", err, test.want)
				}
			case err != nil:
				t.Error(err)
			default:
				got := l.Server()
				if got.Addr != "here" || got.Handler != handler || (got.TLSConfig != nil) != test.tls || len(got.TLSNextProto) != test.entries {
					t.Errorf("got %+v", got)
				}
				if test.tls && got.TLSConfig.ServerName != "here" {
					t.Errorf("the TLS is not the framework's")
				}
				if name == "without HTTP/2" && got.TLSNextProto == nil {
					t.Error("HTTP/2 is back")
				}
			}
			if err := server.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			_ = l.Close()
			if err := <-ended; err == nil {
				t.Error("the framework's Serve ended without an error")
			}
		})
	}
}

// TestServerKeepAlives keeps what is not a field.
func TestServerKeepAlives(t *testing.T) {
	server := &http.Server{}
	server.SetKeepAlivesEnabled(false)
	l := framework.NewListener(listen(t), server)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	<-l.Accepted()
	copied := l.Server()
	_ = l.Close()
	<-ended

	served := listen(t)
	copied.Handler = http.NotFoundHandler()
	go func() { ended <- copied.Serve(served) }()
	response, err := http.Get("http://" + served.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if !response.Close {
		t.Error("the connection is kept alive")
	}
	_ = copied.Close()
	<-ended
}

// TestWatch tells an http.Server from others that accept.
func TestWatch(t *testing.T) {
	for want, accept := range map[bool]func(net.Listener){
		true:  func(l net.Listener) { _ = new(http.Server).Serve(l) },
		false: func(l net.Listener) { _, _ = l.Accept() },
	} {
		inner, called := listen(t), false
		_ = inner.Close() // Accept fails
		accept(framework.Watch(inner, func() { called = true }))
		if called != want {
			t.Errorf("an http.Server accepts: %t, want %t", called, want)
		}
	}
}
