package conntrack

import (
	"net"
	"sync"
)

// A MovedListener is the listener of connections that were accepted elsewhere.
// It holds as many as are pushed.
type MovedListener struct {
	addr net.Addr

	mu     sync.Mutex
	wake   sync.Cond
	queue  []net.Conn
	closed bool
}

var _ net.Listener = (*MovedListener)(nil)

// NewMovedListener makes an empty MovedListener that says it listens on addr.
func NewMovedListener(addr net.Addr) *MovedListener {
	l := &MovedListener{addr: addr}
	l.wake.L = &l.mu
	return l
}

// Push has Accept return nc. It takes ownership of nc, and does not wait.
func (l *MovedListener) Push(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, nc)
	l.wake.Signal()
}

// Accept waits for the next connection. After Close the error is
// net.ErrClosed.
func (l *MovedListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.wake.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	nc := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return nc, nil
}

// Close ends Accept. Connections in the queue stay open.
func (l *MovedListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake.Broadcast()
	return nil
}

// Addr returns the address that NewMovedListener was given.
func (l *MovedListener) Addr() net.Addr { return l.addr }
