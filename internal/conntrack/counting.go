package conntrack

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A CountingListener counts the connections of a server of which nothing is
// known. They are of kind Others.
type CountingListener struct {
	net.Listener
	end   Endpoint
	over  chan struct{} // closed when Accept has said that the listener is closed
	ended sync.Once

	mu    sync.Mutex
	fresh map[*countedConn]struct{} // on which the server has said nothing yet
}

// NewCountingListener makes one of listener, whose connections are in registry
// from Accept to Close.
func NewCountingListener(registry *Registry, listener net.Listener, name string) *CountingListener {
	return &CountingListener{
		Listener: listener,
		end:      Endpoint{Registry: registry, Listener: listener, Name: name, Kind: Others},
		over:     make(chan struct{}),
		fresh:    make(map[*countedConn]struct{}),
	}
}

// Accept waits for the next connection, and counts it.
func (l *CountingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			l.ended.Do(func() { close(l.over) })
		}
		return nil, err
	}
	c := &countedConn{Conn: nc, listener: l, greeted: make(chan struct{})}
	c.Raw, c.Endpoint = nc, &l.end
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh[c] = struct{}{}
	l.end.Registry.Add(c)
	return c, nil
}

// Close may be called again, as by servers that do not know that it is closed.
func (l *CountingListener) Close() error {
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// AwaitGreetings waits, for as long as patience, until each connection that was
// accepted has been written to or closed. The listener must be closed.
//
// Servers close connections that come to them when they are about to end
// (handleRawConn in google.golang.org/grpc/server.go). A client that has got
// through to one has to be told first that it is there.
func (l *CountingListener) AwaitGreetings(patience time.Duration) {
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

func (l *CountingListener) greeted(c *countedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.fresh, c)
	close(c.greeted)
}

// A countedConn is a connection of such a server.
type countedConn struct {
	net.Conn
	Info
	listener *CountingListener
	spoken   atomic.Bool
	closed   atomic.Bool
	greeted  chan struct{}
}

var _ Conn = (*countedConn)(nil)

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
	return Close(c)
}

// Release and Restore do nothing: the server is told to end its connections.
func (c *countedConn) Release()     {}
func (c *countedConn) Restore(bool) {}
