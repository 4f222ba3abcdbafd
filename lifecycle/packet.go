package lifecycle

import (
	"cmp"
	"net"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// ListenPacket is like [Service.Listen] for "udp", "unixgram" and their kin;
// see [activation.Table.ListenPacket] for which socket is taken when a name
// repeats, and for the errors. What it returns is a *[UDPConn], a *[UnixConn]
// or, for the "ip" networks, an *[IPConn]. Only a dry run whose sandbox forbids
// such sockets gets another type, on which nothing is ever received: a program
// that asks for the type should go on without it, or the dry run fails.
//
// All generations share the one socket, and the one queue of the kernel in
// which datagrams wait. No datagram in the queue is lost between generations.
// Those that a process has read are lost if it dies. The successor reads
// alongside this process as soon as this one lets it, and this one reads no more
// when it drains. Writes go on until Run returns, so a server is best run by
// [Service.ServePacket], or [Service.Go], for which Run waits. That holds for
// datagrams that stand for themselves: the next one of a client may reach
// another generation, which protocols with connections, such as QUIC, do not
// expect.
//
// While the program is replaced in place, or restarted, datagrams wait as long
// as the queue has room (SO_RCVBUF in socket(7), SetReadBuffer of the socket).
// Datagrams that wait when the service ends for good are lost.
func (s *Service) ListenPacket(name, network, address string) (net.PacketConn, error) {
	if err := s.lockToListen(name); err != nil {
		return nil, err
	}
	defer s.registered.mu.Unlock()
	c, err := s.sockets.ListenPacket(handover.Bound{Name: name, Network: network, Address: address}, newPacketSocket)
	return c, s.Fail(sockets.AdviseAll(err, "ListenPacketAll"))
}

// ListenPacketAll is to [Service.ListenPacket] as [Service.ListenAll] is to
// [Service.Listen].
func (s *Service) ListenPacketAll(name, network, address string) ([]net.PacketConn, error) {
	if err := s.lockToListen(name); err != nil {
		return nil, err
	}
	defer s.registered.mu.Unlock()
	all, err := s.sockets.ListenPacketAll(handover.Bound{Name: name, Network: network, Address: address}, newPacketSocket)
	return all, s.Fail(err)
}

// A PacketServer answers the datagrams of a socket until a read fails, or it is
// told to end.
type PacketServer interface {
	Serve(net.PacketConn) error
}

// A PacketServerFunc is a PacketServer that is one function.
type PacketServerFunc func(net.PacketConn) error

// Serve calls f.
func (f PacketServerFunc) Serve(conn net.PacketConn) error { return f(conn) }

// ServePacket has server serve conn from Run on. When this process drains, each
// read of what [Service.ListenPacket] returned fails with an error that matches
// net.ErrClosed, and Serve should answer what it has read by then, which may
// take as long as the drain may, and return.
//
// When it has returned, and also when it has not within Options.Linger of such
// an error, server is told by the first of these methods that it has, and conn
// is closed when both have returned:
//
//	Shutdown(context.Context) error, or any other that [Service.Serve] lists
//
// Where that is not done in time it is told by the first of Stop and Close, or
// nothing, and the process goes on to end. A conn of another kind, around one
// of ListenPacket or not, is woken by a read deadline.
//
// When Serve of server returns before the drain begins, the service stops, and
// Run returns the error. The error of ServePacket matches ErrRunning after Run
// was called.
func (s *Service) ServePacket(conn net.PacketConn, server PacketServer) error {
	j := gate.NewJob(conn, server, s.options.Linger)
	return s.addJob(&callback.Job{Name: s.nameOfPacket(conn), Run: j.Run, End: j.End, Kill: j.Kill})
}

func (s *Service) nameOfPacket(conn net.PacketConn) string {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	return cmp.Or(s.sockets.NameOf(conn), conn.LocalAddr().String())
}
