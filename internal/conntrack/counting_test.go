package conntrack_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// TestCountingListener counts a connection from Accept to Close, and waits for
// the greeting of one that the server has said nothing on.
func TestCountingListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := conntrack.New(conntrack.Config{})
	l := conntrack.NewCountingListener(registry, listener, "other")
	var conns []net.Conn
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if n := registry.Count().Others; n != 2 {
		t.Errorf("%d connections are counted, want 2", n)
	}
	for range 2 { // a second time as by the server
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	l.AwaitGreetings(time.Millisecond) // gives up
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		l.AwaitGreetings(time.Hour)
	}()
	if _, err := conns[0].Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	select {
	case <-waited:
		t.Error("one connection was not greeted")
	default:
	}
	if err := conns[1].Close(); err != nil {
		t.Error(err)
	}
	<-waited
	if n := registry.Len(); n != 1 {
		t.Errorf("%d connections are counted, want the one that is open", n)
	}
}
