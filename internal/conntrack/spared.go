package conntrack

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A hold is what becomes of a connection whose request was spared. While a
// handler runs net/http reads a byte, to learn that the client has gone. One
// that came with a next request would bind that to this process, which may have
// given up by then what it needs. So that read is taken out of the kernel, and
// waits here until net/http takes it back.
type hold struct {
	held   atomic.Bool // nothing is read any more
	once   sync.Once
	resume chan struct{} // closed when net/http takes the read back
}

// A sparing is what a conn knows of its request.
type sparing struct {
	alone atomic.Bool          // it has come alone: see noteAlone
	hold  atomic.Pointer[hold] // it is spared; nil if it is not
}

func (h *hold) end() { h.once.Do(func() { close(h.resume) }) }

// noteAlone notes of the first bytes of a request whether they are all of it,
// and nothing else.
func (c *conn) noteAlone(p []byte) {
	if c.Endpoint.Registry.watchesSpared.Load() {
		const end = "\r\n\r\n"
		c.sparing.alone.Store(!c.tls && bytes.Index(p, []byte(end)) == len(p)-len(end))
	}
}

// readByte is the read that goes on while a handler runs.
func (c *conn) readByte(p []byte) (int, error) {
	n, err := c.Raw.Read(p)
	if h := c.sparing.hold.Load(); h != nil && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		h.held.Store(true)
		c.Endpoint.Registry.notice()
		<-h.resume
		h.held.Store(false)
	}
	return n, err
}

// takeBack is told of the deadlines that net/http sets while a handler runs,
// and after it. By one in the past it takes its read back.
func (c *conn) takeBack(t time.Time) {
	if h := c.sparing.hold.Load(); h != nil && !t.IsZero() && t.Before(time.Now()) {
		h.end()
	}
}

// spare begins the hold of a connection whose request has come alone.
func (c *conn) spare() {
	if c.server.isProven() && c.sparing.alone.Load() && c.sparing.hold.CompareAndSwap(nil, &hold{resume: make(chan struct{})}) {
		_ = c.waker().SetReadDeadline(longAgo)
	}
}

// isSpared reports whether the connection has a request that needs nothing, and
// leaves after it.
func (c *conn) isSpared() bool {
	h := c.sparing.hold.Load()
	return h != nil && h.held.Load() && c.Endpoint.Phase() == Moving && c.mayMove()
}
