package tlsmove

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A memoryConn is one end of a connection in memory. Unlike that of net.Pipe it
// takes what is written before it is read, as a socket does.
type memoryConn struct{ in, out *stream }

var _ net.Conn = memoryConn{}

// A stream is one direction, without a limit.
type stream struct {
	mu     sync.Mutex
	wake   *sync.Cond
	data   []byte
	closed bool
	over   time.Time // the deadline of the reader
}

func newMemoryConn() (near, far memoryConn) {
	one, two := newStream(), newStream()
	return memoryConn{one, two}, memoryConn{two, one}
}

func newStream() *stream {
	s := &stream{}
	s.wake = sync.NewCond(&s.mu)
	return s
}

func (c memoryConn) Read(p []byte) (int, error) {
	s := c.in
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case !s.over.IsZero() && !time.Now().Before(s.over):
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.closed:
			return 0, io.EOF
		}
		s.wake.Wait()
	}
}

func (c memoryConn) Write(p []byte) (int, error) {
	s := c.out
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.data = append(s.data, p...)
	s.wake.Broadcast()
	return len(p), nil
}

// Close ends both directions: it is not needed twice.
func (c memoryConn) Close() error {
	for _, s := range []*stream{c.in, c.out} {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.wake.Broadcast()
	}
	return nil
}

// SetReadDeadline wakes a Read when the time has come.
func (c memoryConn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	c.in.over = t
	c.in.mu.Unlock()
	c.in.wake.Broadcast()
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.in.wake.Broadcast)
	}
	return nil
}

func (c memoryConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c memoryConn) SetWriteDeadline(time.Time) error { return nil } // none has to wait
func (c memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
