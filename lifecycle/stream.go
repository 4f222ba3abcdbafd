package lifecycle

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/heirloom-go/heirloom/internal/certificate"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/streams"
)

// MaxStreamState is how many bytes of state a Stream may be handed over with:
// 64 KiB.
const MaxStreamState = streams.MaxState

// ServeStreams has handler serve each connection of a listener that Listen
// returned, or of one around it (see [Service.Listen]), from Run on, in a
// goroutine of its own. It is for protocols other than HTTP, over TCP or Unix
// stream sockets. For those over TLS there is [Service.ServeStreamsTLS].
//
// When the process is replaced, or told to stop, [Stream.Read] returns
// [ErrDraining], and [Stream.Draining] is closed. The handler then calls
// [Stream.HandOver] with what it remembers of the connection, such as bytes
// that it has read and not yet answered, and returns. The handler of the next
// process is called with the connection and that state.
//
// If no process can take the connection, HandOver returns an error. The handler
// may then still write, and finish at its own pace until the drain times out. A
// connection that is not handed over is closed when the handler returns.
//
// Bytes in a bufio.Reader have been read, and belong in the state: for example
// the half line that ReadString returns with the error. A bufio.Scanner does
// not tell a half line from a whole one, so do not use it for lines that a
// reload may cut.
//
// A panic of the handler is logged, and closes the connection, as in net/http.
func (s *Service) ServeStreams(listener net.Listener, handler func(*Stream)) error {
	return s.serveStreams(listener, nil, handler)
}

// ServeStreamsTLS is [Service.ServeStreams] over TLS: the handler gets each
// connection when its handshake is complete, which takes a minute at most. What
// it reads and writes is what the client means, and [Stream.TLS] tells of the
// session. config must hold a certificate, and belongs to the Service from then
// on.
//
// With [Options].MoveTLS connections of TLS 1.3 are handed over as plain ones
// are: the next process asks its own configuration whether it accepts the
// session. HandOver of any other returns an error that matches
// errors.ErrUnsupported. That goes for all without MoveTLS, for those that what
// the program has put around the listener does not let go (see
// [Service.Listen]), and for streams of a tls.NewListener, which ServeStreams
// knows nothing of.
//
// The error matches [ErrNoCertificate] if config has neither a certificate nor a
// function that gets one, and [ErrRunning] after Run was called.
func (s *Service) ServeStreamsTLS(listener net.Listener, config *tls.Config, handler func(*Stream)) error {
	if config == nil {
		config = new(tls.Config)
	}
	return s.serveStreams(listener, config, handler)
}

func (s *Service) serveStreams(listener net.Listener, config *tls.Config, handler func(*Stream)) error {
	if err := s.registered.lock("serve streams on %s", listener.Addr()); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	if config != nil {
		if err := certificate.Check(config); err != nil {
			return s.Fail(fmt.Errorf("serve streams on %s: %w", listener.Addr(), err))
		}
	}
	name := s.sockets.NameToMove(listener)
	s.registered.servers = append(s.registered.servers, &streams.Server{
		Endpoint: conntrack.Endpoint{
			Registry: s.conns,
			Listener: listener,
			Name:     name,
			Kind:     conntrack.Streams,
			Movable:  name != "" && config == nil,
		},
		Handler: onStream(handler),
		TLS:     config,
		MoveTLS: s.options.MoveTLS,
		Log:     s.log,
		Hidden:  s.sockets.HiddenOnce(name),
	})
	return nil
}

// onStream has handler called with the Stream that a connection is to it.
func onStream(handler func(*Stream)) func(*streams.Conn) {
	return func(c *streams.Conn) { handler(&Stream{c}) }
}

// A Stream is a connection that Service.ServeStreams or ServeStreamsTLS serves,
// or that Service.Hijack has taken from its server. It is a net.Conn that
// goroutines may share, but only one may Read at a time.
type Stream struct{ conn *streams.Conn }

var _ net.Conn = (*Stream)(nil)

// State returns the state that the generation before handed over with the
// connection, nil if this generation accepted it. The slice is the caller's.
func (c *Stream) State() []byte { return c.conn.State() }

// TLS returns what is known of a session of TLS, as the field of an
// http.Request does, and nil for a plain connection. After a move it is what
// the handshake led to; its ExportKeyingMaterial then returns an error, and its
// chains are those that this process has verified.
func (c *Stream) TLS() *tls.ConnectionState { return c.conn.TLS() }

// Draining is closed when the connection is to leave this process.
func (c *Stream) Draining() <-chan struct{} { return c.conn.Draining() }

// HandOver gives the connection to the next process, together with up to
// MaxStreamState bytes of state, of which it keeps no reference. It waits for a
// Write that is under way. Afterwards nothing can be written here, and the
// connection is closed for this process. If the next process proves unable to
// take it, the handler is called again, in this one.
//
// With TLS it also waits, for up to five seconds, for the rest of a record that
// has begun. What was decrypted and Read has not returned goes along, to be
// read first in the next process. If that proves unable to take a session whose
// state was sent to it, the connection is closed, for no other process may write
// under its keys.
//
// The error matches
//   - ErrNoSuccessor if no process can take the connection, also while the
//     connection is not to leave;
//   - ErrTooLarge if the state is too large;
//   - ErrUnread if Read has not yet returned all that came with the request of a
//     plain hijacked connection, or the rest of a record of TLS does not come;
//   - errors.ErrUnsupported for a connection that is neither TCP nor of a Unix
//     socket, and for one of TLS that cannot move: see [Options].MoveTLS;
//   - net.ErrClosed if the connection was closed or handed over before.
//
// With TLS it may also be the error of a read, such as io.EOF if the client has
// said that it ends.
func (c *Stream) HandOver(state []byte) error { return c.conn.HandOver(state) }

// Read reads as for a net.Conn until the connection is to leave, and from then
// on returns ErrDraining. A Read that was waiting returns the bytes that have
// come by then, if any.
func (c *Stream) Read(p []byte) (int, error) { return c.conn.Read(p) }

// Write is that of net.Conn. After HandOver and Close the error matches
// net.ErrClosed.
func (c *Stream) Write(p []byte) (int, error) { return c.conn.Write(p) }

// ReadFrom copies from r until it ends, by sendfile(2) or splice(2) where that
// is possible. The connection cannot be handed over meanwhile.
func (c *Stream) ReadFrom(r io.Reader) (int64, error) { return c.conn.ReadFrom(r) }

// Close closes the connection, also under a Read or Write, unless it was handed
// over. A second call returns an error that matches net.ErrClosed.
func (c *Stream) Close() error { return c.conn.Close() }

// LocalAddr returns this end's address.
func (c *Stream) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the other end's address.
func (c *Stream) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Stream) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline is that of net.Conn.
func (c *Stream) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline is that of net.Conn. It bounds a Write that is under way,
// too, and with it a HandOver that waits. A Write over TLS that it has ended
// leaves the connection useless.
func (c *Stream) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }
