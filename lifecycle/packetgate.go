package lifecycle

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// errPacketsStay is what a read says that leaves datagrams to the next process. Servers know it by net.ErrClosed, and older ones
// by its text.
var errPacketsStay = fmt.Errorf("%w: %w", net.ErrClosed, ErrLeaving)

// A packetSocket is what ListenPacket returns.
type packetSocket interface {
	net.PacketConn
	syscall.Conn
	packetGate() *gate
}

// What datagrams do.
const (
	packetsWait int32 = iota // in the kernel, until this process may read: else they would die with it if it failed to start
	packetsCome              // to whoever reads
	packetsStay              // in the kernel, for the next process
)

// A gate lets this process read from a socket that it shares with other generations while it is its turn.
//
// It shuts by a deadline in the past. Package net looks at the deadline before it asks the kernel for a datagram, and again
// while it waits for one, but not once it has one (internal/poll/fd_unix.go): so none is lost that was read.
type gate struct {
	socket  net.PacketConn
	bound   *handover.Bound // nil if it is systemd's
	unlink  atomic.Bool     // on Close
	told    chan struct{}   // closed when the first read was told to leave datagrams to the next process
	telling sync.Once

	flow atomic.Int32 // changes under mu

	mu       sync.Mutex // guards the following, and that no deadline undoes the waking of reads
	deadline time.Time  // of reads
	closed   bool
	changed  chan struct{} // closed, and made anew, when any of the above changes
}

func newGate(socket net.PacketConn, bound *handover.Bound) *gate {
	return &gate{socket: socket, bound: bound, told: make(chan struct{}), changed: make(chan struct{})}
}

// enter is called before each read. While datagrams come it costs one atomic load.
func (g *gate) enter() error {
	if g.flow.Load() == packetsCome {
		return nil
	}
	return g.wait()
}

// leave is called with the error of each read.
func (g *gate) leave(err error) error {
	if err == nil {
		return nil
	}
	return g.explain(err)
}

// explain makes of the timeout by which a read was woken the error that says why.
func (g *gate) explain(err error) error {
	if g.flow.Load() == packetsStay && errors.Is(err, os.ErrDeadlineExceeded) {
		return g.shutError()
	}
	return err
}

// wait waits until the socket may be asked, or must not.
func (g *gate) wait() error {
	for {
		g.mu.Lock()
		closed, deadline, changed := g.closed, g.deadline, g.changed
		g.mu.Unlock()
		switch {
		case closed || g.flow.Load() == packetsCome:
			return nil
		case g.flow.Load() == packetsStay:
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

func (g *gate) shutError() error {
	g.telling.Do(func() { close(g.told) })
	return g.readError(errPacketsStay)
}

func (g *gate) readError(err error) error {
	local := g.socket.LocalAddr()
	return &net.OpError{Op: "read", Net: local.Network(), Source: local, Err: err}
}

// open lets reads begin, unless they are over already.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.CompareAndSwap(packetsWait, packetsCome) {
		g.changeLocked()
	}
}

// shut ends reads for good. A second call does nothing.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.Swap(packetsStay) != packetsStay {
		_ = g.socket.SetReadDeadline(longAgo)
		g.changeLocked()
	}
}

func (g *gate) setDeadline(t time.Time) error {
	if err := g.setReadDeadline(t); err != nil {
		return err
	}
	return g.socket.SetWriteDeadline(t)
}

func (g *gate) setReadDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flow.Load() == packetsStay {
		return nil
	}
	g.deadline = t
	g.changeLocked()
	return g.socket.SetReadDeadline(t)
}

// close removes the path as well, if the service ends: before the socket is closed, and so before another starter finds it dead
// and puts its own in its place.
func (g *gate) close() error {
	g.mu.Lock()
	g.closed = true
	g.changeLocked()
	g.mu.Unlock()
	if g.unlink.Swap(false) && g.bound.File != (handover.FileID{}) && fileOf(*g.bound) == g.bound.File {
		_ = os.Remove(g.bound.Address)
	}
	return g.socket.Close()
}

func (g *gate) changeLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// A gatedRawConn is for those who read by system calls of their own.
type gatedRawConn struct {
	syscall.RawConn
	gate *gate
}

func (g *gate) rawConn(raw syscall.RawConn, err error) (syscall.RawConn, error) {
	if err != nil {
		return nil, err
	}
	return &gatedRawConn{raw, g}, nil
}

func (c *gatedRawConn) Read(f func(fd uintptr) (done bool)) error {
	if err := c.gate.enter(); err != nil {
		return err
	}
	return c.gate.leave(c.RawConn.Read(f))
}
