package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Server serves a listener until that is closed or the server is told to end: a *grpc.Server, and most others there are.
type Server interface {
	Serve(net.Listener) error
}

// Serve has server serve listener from Run on, for servers of any kind but net/http's, which HTTP knows better.
//
// When this process drains, listener is closed and server is told by the first of these methods that it has, which may take as
// long as the drain may:
//
//	Shutdown(context.Context) error
//	GracefulStop()
//	Stop(), with or without an error
//
// Where that is not done in time, or there is none, it is told by the first of Stop, Close() error or nothing, and its connections
// are closed. Connections are counted from Accept to Close, and do not move. They are wrapped: what a server gets from Accept is
// a net.Conn, and neither a *net.TCPConn nor a *tls.Conn.
//
// grpc's GracefulStop waits for streams, also for those of its health and reflection services, and Leaving is closed before it has
// sent GOAWAY: a stream that a handler ends at once may be begun again on the connection that is about to go. See
// [github.com/heirloom-go/heirloom/examples/grpc].
//
// When Serve of server returns before the drain begins, the service stops, and Run returns the error.
func (s *Service) Serve(listener net.Listener, server Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), ErrRunning)
	}
	name := s.nameOf(listener)
	l := &countingListener{
		Listener: listener,
		port:     port{service: s, listener: listener, name: name, other: true},
		over:     make(chan struct{}),
		fresh:    make(map[*countedConn]struct{}),
	}
	if name == "" {
		name = listener.Addr().String()
	}
	s.jobs = append(s.jobs, &job{
		name: name,
		run:  func(context.Context) error { return server.Serve(l) },
		end: func(ctx context.Context) error {
			_ = listener.Close()
			l.awaitGreetings(s.options.Linger)
			return shutDown(ctx, server)
		},
		kill: func() { stopNow(server) },
	})
	return nil
}

// shutDown has server finish, by whatever name it calls that.
func shutDown(ctx context.Context, server any) error {
	switch s := server.(type) {
	case interface{ Shutdown(context.Context) error }:
		return s.Shutdown(ctx)
	case interface{ GracefulStop() }:
		s.GracefulStop()
	case interface{ Stop() error }:
		return s.Stop()
	case interface{ Stop() }:
		s.Stop()
	}
	return nil
}

func stopNow(server any) {
	switch s := server.(type) {
	case interface{ Stop() error }:
		_ = s.Stop()
	case interface{ Stop() }:
		s.Stop()
	case interface{ Close() error }:
		_ = s.Close()
	}
}

// A countingListener counts the connections of a server that this package does not know.
type countingListener struct {
	net.Listener
	port  port
	over  chan struct{} // closed when Accept has said that the listener is closed
	ended sync.Once

	mu    sync.Mutex
	fresh map[*countedConn]struct{} // on which the server has said nothing yet
}

func (l *countingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			l.ended.Do(func() { close(l.over) })
		}
		return nil, err
	}
	c := &countedConn{Conn: nc, listener: l, greeted: make(chan struct{})}
	c.raw, c.port = nc, &l.port
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh[c] = struct{}{}
	l.port.service.conns.add(c)
	return c, nil
}

// awaitGreetings waits until each connection that was accepted has been written to, read from and closed, or has had its time.
// Servers close connections that come to them when they are about to end (handleRawConn in google.golang.org/grpc/server.go): a
// client that has got through to one has to be told first that it is there.
func (l *countingListener) awaitGreetings(patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.over: // else Accept may have one in hand that it has not counted yet
	case <-timer.C:
		return
	}
	l.mu.Lock()
	fresh := make([]*countedConn, 0, len(l.fresh))
	for c := range l.fresh {
		fresh = append(fresh, c)
	}
	l.mu.Unlock()
	for _, c := range fresh {
		select {
		case <-c.greeted:
		case <-timer.C:
			return
		}
	}
}

func (l *countingListener) greeted(c *countedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.fresh, c)
	close(c.greeted)
}

// A countedConn is a connection of such a server.
type countedConn struct {
	net.Conn
	link
	listener *countingListener
	spoken   atomic.Bool
	closed   atomic.Bool
	greeted  chan struct{}
}

var _ member = (*countedConn)(nil)

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !c.spoken.Load() && !c.spoken.Swap(true) {
		c.listener.greeted(c)
	}
	return n, err
}

func (c *countedConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	if !c.spoken.Swap(true) {
		c.listener.greeted(c)
	}
	return end(c)
}

func (c *countedConn) take()     {}
func (c *countedConn) comeBack() {}
