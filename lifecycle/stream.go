package lifecycle

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// MaxStreamState is how many bytes of state a Stream may be handed over with: 64 KiB.
const MaxStreamState = 64 << 10

var (
	// ErrLeaving is returned by the Read of a Stream that is to leave this process, and matched
	// by that of what ListenPacket returned. Not a byte is lost by it: what the client sends is
	// left to whoever reads next.
	ErrLeaving = errors.New("the connection is to leave this process")
	// ErrNoSuccessor is matched by the error of HandOver when no process comes after this one,
	// or none that serves the listener. The connection is the handler's still, to say goodbye
	// and close.
	ErrNoSuccessor = errors.New("there is no successor to take the connection")
	// ErrUnread is matched by the error of HandOver for a hijacked connection of which the
	// client has sent bytes that would be lost: Read returns them, also when the connection is
	// to leave.
	ErrUnread = errors.New("what came with the request is not read yet")
)

// Stream has handler serve each connection of a listener that Listen returned, from Run on, in a goroutine of its own. It is
// for protocols other than HTTP, over TCP or Unix stream sockets.
//
// When the process is replaced, or told to stop, [Stream.Read] returns [ErrLeaving], and [Stream.Leaving] is closed. The
// handler then calls [Stream.HandOver] with what it remembers of the connection, such as bytes that it has read and not yet answered,
// and returns; the handler of the next process is called with the connection and that state. If there is nobody to take it,
// HandOver says so and the handler may still write, and even, until the drain times out, finish at leisure: what it does not
// hand over it keeps, until it returns. The connection is closed then.
//
// What a bufio.Reader holds is read, and goes into the state: the half line that ReadString returns with the error, say. A
// bufio.Scanner does not tell it from a whole one, and so is not for lines that may be cut by a reload.
//
// A panic of the handler is logged, and closes the connection, as net/http does it.
func (s *Service) Stream(listener net.Listener, handler func(*Stream)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return fmt.Errorf("serve streams on %s: %w", listener.Addr(), ErrRunning)
	}
	name := s.nameToMove(listener)
	s.servers = append(s.servers, &streamServer{
		port: port{
			service:  s,
			listener: listener,
			name:     name,
			stream:   true,
			movable:  name != "",
		},
		handler: handler,
	})
	return nil
}

// A Stream is a connection that Service.Stream serves. It is a net.Conn; of the goroutines that use it at once, one may Read.
type Stream struct {
	link
	server  *streamServer
	state   []byte // from the generation before
	leaving chan struct{}

	mu     sync.Mutex // guards the following, and that no deadline undoes the waking of Read
	told   bool       // leaving is closed
	unread []byte     // that came before it was a Stream

	writing sync.RWMutex // held for reading by each Write, for writing by HandOver and Close
	gone    atomic.Bool  // handed over or closed; set under writing
}

var _ net.Conn = (*Stream)(nil)

// State returns what the generation before handed over with the connection, nil if it was accepted by this one. The slice is
// the caller's.
func (c *Stream) State() []byte { return c.state }

// Leaving is closed when the connection is to leave this process.
func (c *Stream) Leaving() <-chan struct{} { return c.leaving }

// HandOver gives the connection to the next process, together with up to MaxStreamState bytes of state, of which it keeps no
// reference. It waits for a Write that is under way; afterwards nothing can be written here, and the connection is closed
// for this process. If the next process proves unable to take it, the handler is called again, in this one.
//
// The error matches ErrNoSuccessor where there is nobody to take the connection (as long as the connection is not to leave, that
// is so too), ErrTooLarge for the state, ErrUnread if Read has not returned yet all that came with the request of a hijacked
// connection, errors.ErrUnsupported for a connection that is neither of TCP nor of a Unix socket, and net.ErrClosed if it was
// closed or handed over before.
func (c *Stream) HandOver(state []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	taker := c.port.service.currentTaker()
	switch {
	case c.gone.Load():
		return net.ErrClosed
	case len(state) > MaxStreamState:
		return fmt.Errorf("%w: %d bytes of state, more than %d", ErrTooLarge, len(state), MaxStreamState)
	case c.hasUnread():
		return ErrUnread
	case !movable(c.raw):
		return fmt.Errorf("hand over %T: %w", c.raw, errors.ErrUnsupported)
	case taker == nil || !c.port.movable || !taker.serves(c.port):
		return ErrNoSuccessor
	}
	c.gone.Store(true)
	c.left = append([]byte{}, state...)
	taker.pass(c)
	return nil
}

func movable(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	default:
		return false
	}
}

// Read is that of net.Conn until the connection is to leave, and from then on returns ErrLeaving; a Read that was waiting
// returns once more what has come by then, if anything has.
func (c *Stream) Read(p []byte) (int, error) {
	if n := c.readUnread(p); n > 0 {
		return n, nil
	}
	select {
	case <-c.leaving:
		return 0, ErrLeaving
	default:
	}
	n, err := c.raw.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		select {
		case <-c.leaving:
			return 0, ErrLeaving
		default:
		}
	}
	return n, err
}

// readUnread reads what came before the connection was a Stream.
func (c *Stream) readUnread(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n
}

func (c *Stream) hasUnread() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unread) > 0
}

// Write is that of net.Conn. After HandOver and Close the error matches net.ErrClosed.
func (c *Stream) Write(p []byte) (int, error) {
	c.writing.RLock()
	defer c.writing.RUnlock()
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	return c.raw.Write(p)
}

// ReadFrom copies from r until it ends, by sendfile(2) or splice(2) where that is possible. The connection cannot be handed
// over meanwhile.
func (c *Stream) ReadFrom(r io.Reader) (int64, error) {
	c.writing.RLock()
	defer c.writing.RUnlock()
	if c.gone.Load() {
		return 0, net.ErrClosed
	}
	return io.Copy(c.raw, r)
}

// Close closes the connection, also under a Read or Write, unless it was handed over. A second call returns an error that
// matches net.ErrClosed.
func (c *Stream) Close() error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	_ = c.raw.SetWriteDeadline(longAgo) // for a Write to let go
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.gone.Load() {
		return net.ErrClosed
	}
	c.gone.Store(true)
	return end(c)
}

// LocalAddr returns this end's address.
func (c *Stream) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns the other end's address.
func (c *Stream) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Stream) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is that of net.Conn.
func (c *Stream) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		return nil
	}
	return c.raw.SetReadDeadline(t)
}

// SetWriteDeadline is that of net.Conn. It bounds a Write that is under way, too, and with it a HandOver that waits.
func (c *Stream) SetWriteDeadline(t time.Time) error {
	if c.gone.Load() {
		return net.ErrClosed
	}
	return c.raw.SetWriteDeadline(t)
}

// take tells the handler that the connection is to leave.
func (c *Stream) take() {
	if c.port.phase.Load() == phaseServing {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.told {
		c.told = true
		close(c.leaving)
		_ = c.raw.SetReadDeadline(longAgo)
	}
}

func (c *Stream) comeBack() {
	_ = c.raw.SetDeadline(time.Time{})
	c.server.receive(c.raw, c.left, false)
}

// A streamServer calls a handler for each connection of a listener.
type streamServer struct {
	port
	handler func(*Stream)
}

func (s *streamServer) at() *port { return &s.port }

// maxAcceptDelay bounds the wait before Accept is tried again when the process has too many open files, as in net/http.
const maxAcceptDelay = time.Second

func (s *streamServer) serve() error {
	delay := time.Duration(0)
	for {
		nc, err := s.listener.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			delay = 0
			s.receive(nc, nil, true)
		case errors.As(err, &temporary) && temporary.Temporary():
			delay = min(max(2*delay, 5*time.Millisecond), maxAcceptDelay)
			s.service.log.Warn("cannot accept for now", "listener", s.name, "error", err, "again", delay)
			time.Sleep(delay)
		default:
			return err
		}
	}
}

// serveArrived has nothing to do: what moves here is served at once.
func (s *streamServer) serveArrived() {}

func (s *streamServer) close() {}

// drain has nothing to do: each Stream is told by take.
func (s *streamServer) drain() {}

func (s *streamServer) receive(nc net.Conn, state []byte, _ bool) {
	c := &Stream{server: s, state: state, leaving: make(chan struct{})}
	c.raw, c.port = nc, &s.port
	s.service.conns.add(c)
	c.take() // it may have come while all others leave
	go func() {
		defer func() {
			if r := recover(); r != nil {
				s.service.log.Error("panic of a stream's handler", "panic", r, "stack", string(debug.Stack()))
			}
			_ = c.Close()
		}()
		s.handler(c)
	}()
}
