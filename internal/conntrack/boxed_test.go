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

// A valueConn cannot be the key of a map.
type valueConn struct {
	net.Conn
	peeked []byte
}

type valueListener struct {
	net.Listener
	names []string
}

func (l valueListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return valueConn{nc, nil}, err
}

// TestValueConn serves connections that cannot be compared.
func TestValueConn(t *testing.T) {
	serveValues(t, "http", func(l net.Listener) net.Listener { return l }, isValue)
}

// TestValueConnTLS has the program speak TLS on them itself.
func TestValueConnTLS(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}}
	serveValues(t, "https", func(l net.Listener) net.Listener { return tls.NewListener(l, config) }, func(nc net.Conn) bool {
		c, ok := nc.(*tls.Conn)
		return ok && isValue(c.NetConn())
	})
}

func isValue(nc net.Conn) bool {
	_, ok := nc.(valueConn)
	return ok
}

// serveValues serves one of them, that around makes of it what http.Server has.
func serveValues(t *testing.T, scheme string, around func(net.Listener) net.Listener, isAccepted func(net.Conn) bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	states := make(chan http.ConnState, 10)
	server := &http.Server{
		Handler: http.NotFoundHandler(),
		ConnState: func(nc net.Conn, state http.ConnState) {
			if !isAccepted(nc) {
				t.Errorf("a %T, want what Accept returned", nc)
			}
			states <- state
		},
	}
	tracked := conntrack.Track(around(valueListener{listener, nil}), server)
	done := make(chan error, 1)
	go func() { done <- tracked.Serve() }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get(scheme + "://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if _, all := tracked.Resting(); all != 1 {
		t.Errorf("%d connections, want 1", all)
	}
	client.CloseIdleConnections()
	for state := range states {
		if state == http.StateClosed {
			break
		}
	}
	if _, all := tracked.Resting(); all != 0 {
		t.Errorf("%d connections are left", all)
	}
	_ = listener.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
