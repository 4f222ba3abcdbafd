package lifecycle

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// ListenPacket is like [Service.Listen] for "udp", "unixgram" and their kin; see [activation.Table.ListenPacket] for which socket
// is taken when a name repeats, and for the errors. What it returns is a *[UDPConn], a *[UnixConn] or, for the "ip" networks, an
// *[IPConn].
//
// All generations share the one socket, and the one queue of the kernel in which datagrams wait: none that has reached it is
// lost between generations, but those that a process had read which died. The successor reads beside this process as soon as
// that lets it, and this one reads no more when it drains. Writes go on until Run returns; so a server is best run by
// [Service.ServePacket], or [Service.Go], for which Run waits. That holds for datagrams that stand for themselves: the next one of
// a client may find another generation, which protocols with connections, such as QUIC, do not expect.
//
// While the program is replaced in place, or restarted, datagrams wait as long as the queue has room (SO_RCVBUF in socket(7),
// SetReadBuffer of the socket). Those that wait when the service ends for good are lost with it.
func (s *Service) ListenPacket(name, network, address string) (net.PacketConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkName(name); err != nil {
		return nil, err
	}
	c, err := s.listenPacket(handover.Bound{Name: name, Network: network, Address: address})
	if err != nil {
		return nil, s.Fail(err)
	}
	return c, nil
}

func (s *Service) listenPacket(want handover.Bound) (net.PacketConn, error) {
	l := &listener{name: want.Name}
	socket, bound, err := obtain(s, want, s.table.ListenPacket, activation.BindPacket)
	if err != nil {
		return nil, err
	}
	conn, err := newPacketSocket(socket, bound)
	if err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("listen %s: %w", want.Name, err)
	}
	l.socket, l.bound = conn, bound
	s.listeners = append(s.listeners, l)
	return conn, nil
}

// open lets reads of datagrams begin.
func (l *listener) open() {
	if p, ok := l.socket.(packetSocket); ok {
		p.packetGate().open()
	}
}

// shut ends Accept, and reads of datagrams; those that were read are still to be answered.
func (l *listener) shut() {
	if p, ok := l.socket.(packetSocket); ok {
		p.packetGate().shut()
		return
	}
	_ = l.socket.Close()
}

// A PacketServer answers the datagrams of a socket until a read fails, or it is told to end.
type PacketServer interface {
	Serve(net.PacketConn) error
}

// A PacketServerFunc is a PacketServer that is one function.
type PacketServerFunc func(net.PacketConn) error

// Serve calls f.
func (f PacketServerFunc) Serve(conn net.PacketConn) error { return f(conn) }

// ServePacket has server serve conn from Run on. When this process drains, each read of what [Service.ListenPacket] returned fails
// with an error that matches net.ErrClosed, and Serve should answer what it has read by then, which may take as long as the
// drain may, and return.
//
// When it has returned, and also when it has not within Options.Linger of such an error, server is told by the first of these
// methods that it has, and conn is closed when both have returned:
//
//	Shutdown(context.Context) error
//	GracefulStop()
//	Stop(), with or without an error
//
// Where that is not done in time it is told by the first of Stop, Close() error or nothing, and the process goes on to end. A conn
// of another kind, around one of ListenPacket or not, is woken by a read deadline.
//
// When Serve of server returns before the drain begins, the service stops, and Run returns the error. The error of ServePacket
// matches ErrRunning after Run was called.
func (s *Service) ServePacket(conn net.PacketConn, server PacketServer) error {
	p := &packetJob{conn: conn, server: server, patience: s.options.Linger, served: make(chan struct{})}
	return s.addJob(&job{
		name: s.nameOfPacket(conn),
		run:  p.run,
		end:  p.end,
		kill: func() { stopNow(server) },
	})
}

func (s *Service) nameOfPacket(conn net.PacketConn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := s.nameOf(conn); name != "" {
		return name
	}
	return conn.LocalAddr().String()
}

// A packetJob is a PacketServer that runs.
type packetJob struct {
	conn     net.PacketConn
	server   PacketServer
	patience time.Duration
	served   chan struct{} // closed when Serve has returned
}

func (p *packetJob) run(context.Context) error {
	defer close(p.served)
	return p.server.Serve(p.conn)
}

func (p *packetJob) end(ctx context.Context) error {
	p.awaitReads(ctx)
	err := shutDown(ctx, p.server)
	select {
	case <-p.served:
		_ = p.conn.Close()
	case <-ctx.Done():
	}
	return err
}

// awaitReads waits until Serve has returned, or could have: a server that was told to end might drop a datagram that it has
// just read.
func (p *packetJob) awaitReads(ctx context.Context) {
	if c, ok := p.conn.(packetSocket); ok {
		select {
		case <-p.served:
			return
		case <-c.packetGate().told:
		case <-ctx.Done():
			return
		}
	} else {
		_ = p.conn.SetReadDeadline(longAgo)
	}
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case <-p.served:
	case <-timer.C:
	case <-ctx.Done():
	}
}
