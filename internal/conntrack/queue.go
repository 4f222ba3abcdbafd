package conntrack

import (
	"net"
	"sync"
)

// A Queue is the listener of connections that were accepted elsewhere. It holds
// as many as are pushed.
type Queue struct {
	addr net.Addr

	mu     sync.Mutex
	wake   sync.Cond
	queue  []net.Conn
	closed bool
}

var _ net.Listener = (*Queue)(nil)

// NewQueue makes an empty Queue that says it listens on addr.
func NewQueue(addr net.Addr) *Queue {
	q := &Queue{addr: addr}
	q.wake.L = &q.mu
	return q
}

// Push has Accept return nc. It takes ownership of nc, and does not wait.
func (q *Queue) Push(nc net.Conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, nc)
	q.wake.Signal()
}

// Accept waits for the next connection. After Close the error is
// net.ErrClosed.
func (q *Queue) Accept() (net.Conn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return nil, net.ErrClosed
	}
	nc := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	return nc, nil
}

// Close ends Accept. Connections in the queue stay open.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
	return nil
}

// Addr returns the address that NewQueue was given.
func (q *Queue) Addr() net.Addr { return q.addr }
