package conntrack_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	states := make(chan http.ConnState, 10)
	server := &http.Server{
		Handler: http.NotFoundHandler(),
		ConnState: func(nc net.Conn, state http.ConnState) {
			if _, ok := nc.(valueConn); !ok {
				t.Errorf("a %T, want what Accept returned", nc)
			}
			states <- state
		},
	}
	tracked := conntrack.Track(valueListener{listener, nil}, server)
	done := make(chan error, 1)
	go func() { done <- tracked.Serve() }()
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Get("http://" + listener.Addr().String())
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
