// Package gate lets a process read from a packet socket while it is its turn.
//
// Generations share such a socket, and the kernel gives each datagram to
// whichever reads first. One that a process reads before it is sure to serve,
// or after it has begun to leave, may never get a response. So reads wait until
// the gate opens, and fail once it is shut: what has come by then stays in the
// kernel, for another generation.
//
// A [Gate] shuts by a deadline in the past. Package net looks at the deadline
// before it asks the kernel for a datagram, and again while it waits for one,
// but not once it has one (internal/poll/fd_unix.go): so none is lost that was
// read.
//
// [UDP], [Unix] and [IP] are the sockets of package net with a gate: they call
// [Gate.Enter] before each read and [Gate.Leave] after it, and have the gate
// set deadlines and close. A [Job] runs a server on such a socket, and ends it
// when the gate is shut.
package gate

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// past is a read deadline that wakes a waiting read at once.
var past = time.Unix(1, 0)

// What datagrams do.
const (
	wait int32 = iota // in the kernel, until this process may read: else they would die with it if it failed to start
	come              // to the reader
	stay              // in the kernel, for the next process
)

// A Gate is that of one packet socket. Several goroutines may use all methods.
type Gate struct {
	socket  net.PacketConn
	shut    error         // what reads say once it is shut
	remove  func()        // removes the socket's path
	unlink  atomic.Bool   // on Close
	told    chan struct{} // closed when the first read was told to leave datagrams to the next process
	telling sync.Once

	flow atomic.Int32 // changes under mu

	mu       sync.Mutex // guards the following, and that no deadline undoes the waking of reads
	deadline time.Time  // of reads
	closed   bool
	changed  chan struct{} // closed, and made again, when any of the above changes
}

// New returns the gate of a socket, which is neither open nor shut. Once it is
// shut, reads fail with a *net.OpError of the error shut. If remove is not nil,
// Close calls it as [Gate.SetUnlink] says.
func New(socket net.PacketConn, shut error, remove func()) *Gate {
	return &Gate{socket: socket, shut: shut, remove: remove, told: make(chan struct{}), changed: make(chan struct{})}
}

// Enter is called before each read, waits until the socket may be read, and
// fails if the read must not take place. While datagrams come it costs one
// atomic load.
func (g *Gate) Enter() error {
	if g.flow.Load() == come {
		return nil
	}
	return g.wait()
}

// Leave is called with the error of each read, that of Enter included, and
// returns what the caller of the read gets.
func (g *Gate) Leave(err error) error {
	if err == nil {
		return nil
	}
	return g.explain(err)
}

// explain makes of the timeout by which a read was woken the error that says
// why.
func (g *Gate) explain(err error) error {
	if g.flow.Load() == stay && errors.Is(err, os.ErrDeadlineExceeded) {
		return g.shutError()
	}
	return err
}

// wait waits until the socket may be asked, or must not.
func (g *Gate) wait() error {
	for {
		g.mu.Lock()
		closed, deadline, changed := g.closed, g.deadline, g.changed
		g.mu.Unlock()
		switch {
		case closed || g.flow.Load() == come:
			return nil
		case g.flow.Load() == stay:
			return g.shutError()
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return g.readError(os.ErrDeadlineExceeded)
		}
		awaitChange(changed, deadline)
	}
}

func awaitChange(changed <-chan struct{}, deadline time.Time) {
	if deadline.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func (g *Gate) shutError() error {
	g.telling.Do(func() { close(g.told) })
	return g.readError(g.shut)
}

func (g *Gate) readError(err error) error {
	local := g.socket.LocalAddr()
	return &net.OpError{Op: "read", Net: local.Network(), Source: local, Err: err}
}

// Told is closed when the first read has failed because the gate is shut.
func (g *Gate) Told() <-chan struct{} { return g.told }

// Open lets reads begin, unless they are over already.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.CompareAndSwap(wait, come) {
		g.changeLocked()
	}
}

// Shut ends reads for good. A second call does nothing.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.Swap(stay) != stay {
		_ = g.socket.SetReadDeadline(past)
		g.changeLocked()
	}
}

// SetDeadline is SetReadDeadline, and SetWriteDeadline of the socket.
func (g *Gate) SetDeadline(t time.Time) error {
	if err := g.SetReadDeadline(t); err != nil {
		return err
	}
	return g.socket.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, those that wait for the gate
// included. Once it is shut it does nothing.
func (g *Gate) SetReadDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.Load() == stay {
		return nil
	}
	g.deadline = t
	g.changeLocked()
	return g.socket.SetReadDeadline(t)
}

// SetUnlink says whether Close removes the socket's path, which it does not at
// first.
func (g *Gate) SetUnlink(unlink bool) { g.unlink.Store(unlink) }

// Close closes the socket. It removes the path as well, if it is to: before the
// socket is closed, and so before another starter finds it dead and puts its
// own in its place.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.changeLocked()
	g.mu.Unlock()
	if g.unlink.Swap(false) && g.remove != nil {
		g.remove()
	}
	return g.socket.Close()
}

func (g *Gate) changeLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// A rawConn is for those who read by system calls of their own.
type rawConn struct {
	syscall.RawConn
	gate *Gate
}

// RawConn returns what the socket's SyscallConn returned, with reads that go by
// the gate.
func (g *Gate) RawConn(raw syscall.RawConn, err error) (syscall.RawConn, error) {
	if err != nil {
		return nil, err
	}
	return &rawConn{raw, g}, nil
}

func (c *rawConn) Read(f func(fd uintptr) (done bool)) error {
	if err := c.gate.Enter(); err != nil {
		return err
	}
	return c.gate.Leave(c.RawConn.Read(f))
}
