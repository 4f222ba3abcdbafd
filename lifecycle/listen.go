package lifecycle

import (
	"fmt"
	"net"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/reserved"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// Listen returns the listener of that name which systemd or the predecessor
// handed over, or else binds address on network, as net.Listen does. It serves
// "tcp", "unix" and their kin; see [activation.Table.Listen] for which socket
// is taken when a name repeats, and for the errors, beside which there is
// [ErrReserved]. Where the address picks none of several, as ":143" of
// 0.0.0.0:143 and [::]:143, [Service.ListenAll] returns them all.
//
// What systemd handed over is taken whatever its address: its socket unit
// decides. What the predecessor had bound itself is taken if it was asked for
// with the same network and address, and otherwise bound again.
//
// The listener is of the type that net.Listen returns, such as a
// *net.TCPListener. It may be given to HTTP, ServeStreams and Serve inside
// another one, which counts or limits connections, say, as
// netutil.LimitListener of golang.org/x/net does: they find its name as long as
// Addr comes from it, as it does where the other one embeds it. Connections of
// HTTP and Streams then move if what Accept of the other one returns
//
//   - shows the *net.TCPConn that is under it, by a method NetConn or by being a
//     struct that embeds it as an exported field, such as a net.Conn;
//   - returns the RemoteAddr of that one;
//   - returns from Read what it has read of that one, as it is: nothing is left
//     out, changed or read ahead, which is checked by counting.
//
// When such a connection moves it is closed in this process by its own Close,
// for which the process waits at its end, up to a second. The next process
// serves it without anything around it: a limit is of what each process has
// accepted itself. The same goes for connections of TLS with [Options].MoveTLS,
// where it is the encrypted bytes that are counted. All others, of Unix sockets
// among them, are told to close, and the log says so once where that is known
// by the type.
//
// The listener is the Service's: each successor gets a duplicate, and it is
// closed when this generation drains. One that the service has bound is kept in
// the unit's file descriptor store, if it has one, from Run on until a
// generation does not ask for it any more. A Unix path is removed when the
// service ends, if the service, in this or an earlier generation, bound it;
// where the socket is kept in the store it is systemd that knows whether a stop
// is the end, and if it cannot be asked, as with DynamicUser= before systemd
// 262, where the bus is dbus-daemon, the path stays.
func (s *Service) Listen(name, network, address string) (net.Listener, error) {
	if err := s.lockToListen(name); err != nil {
		return nil, err
	}
	defer s.registered.mu.Unlock()
	l, err := s.sockets.Listen(handover.Bound{Name: name, Network: network, Address: address})
	return l, s.Fail(sockets.AdviseAll(err, "ListenAll"))
}

// ListenAll is like [Service.Listen] for everything that the operator hands
// over under one name: it returns each listener of that name and network, in
// the order of the socket unit, or binds address where there is none. So a unit
// may have several ListenStream= lines, such as 0.0.0.0:143 and [::]:143 with
// BindIPv6Only=ipv6-only. Where network is "tcp" both families count.
//
// Each listener needs a server of its own. Connections that move reach the
// server of the listener with the same name and address in the successor.
//
// A successor is handed what its predecessor had asked for: what a socket unit
// lists beyond that, or has listed since, comes with the next restart of unit
// and service. The errors are those of Listen, but for
// [activation.ErrAmbiguous]; on an error nothing is left open.
func (s *Service) ListenAll(name, network, address string) ([]net.Listener, error) {
	if err := s.lockToListen(name); err != nil {
		return nil, err
	}
	defer s.registered.mu.Unlock()
	all, err := s.sockets.ListenAll(handover.Bound{Name: name, Network: network, Address: address})
	return all, s.Fail(err)
}

// lockToListen locks s.registered, if a listener of that name may be asked for.
func (s *Service) lockToListen(name string) error {
	if reserved.Is(name) && !s.isRunning() {
		return s.Fail(fmt.Errorf("listen %s: %w", name, ErrReserved))
	}
	return s.registered.lock("listen %s", name)
}
