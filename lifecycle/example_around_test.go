package lifecycle_test

import (
	"context"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A countingListener counts the connections that are open.
type countingListener struct {
	net.Listener
	open atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countingConn{Conn: c, listener: l}, nil
}

type countingConn struct {
	net.Conn // by which its socket is found, to move
	listener *countingListener
	closed   atomic.Bool
}

// Close is also called when the connection has moved.
func (c *countingConn) Close() error {
	if !c.closed.Swap(true) {
		c.listener.open.Add(-1)
	}
	return c.Conn.Close()
}

// Connections that a program counts move as others do.
func ExampleService_Listen_counted() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	counting := &countingListener{Listener: listener}
	if err := service.HTTP(counting, &http.Server{}); err != nil {
		log.Fatal(err)
	}
	if err := service.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
