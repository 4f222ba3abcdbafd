package lifecycle

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A listener is what Listen or ListenPacket returned, and what a successor has to know of it.
type listener struct {
	socket io.Closer
	name   string
	bound  *handover.Bound // nil if it is systemd's
}

// isStored reports whether the listener belongs into the file descriptor store: systemd has its own anyway, and nobody needs
// the control socket of a service that does not run.
func (l *listener) isStored() bool { return l.bound != nil && l.name != controlName }

// Listen returns the listener of that name which systemd or the predecessor handed over, or else binds address on network,
// as net.Listen does. It serves "tcp", "unix" and their kin; see [activation.Table.Listen] for which socket is taken when a
// name repeats, and for the errors, beside which there is [ErrReserved].
//
// What systemd handed over is taken whatever its address: its socket unit decides. What the predecessor had bound itself is
// taken if it was asked for with the same network and address, and bound anew if not.
//
// The listener is the Service's: each successor gets a duplicate, and it is closed when this generation drains. One that the
// service has bound is kept in the unit's file descriptor store, if it has one, from Run on until a generation does not ask
// for it any more. A Unix path is removed when the service ends, if the service, in this or an earlier generation, bound it;
// where the socket is kept in the store it is systemd that knows whether a stop is the end, and if it cannot be asked,
// as with DynamicUser= before systemd 262, where the bus is dbus-daemon, the path stays.
func (s *Service) Listen(name, network, address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkName(name); err != nil {
		return nil, err
	}
	l, err := s.listen(handover.Bound{Name: name, Network: network, Address: address})
	if err != nil {
		return nil, s.Fail(err)
	}
	return l, nil
}

// checkName says whether a listener of that name may be asked for.
func (s *Service) checkName(name string) error {
	_, isStored := storedGeneration(name)
	switch {
	case s.running:
		return fmt.Errorf("listen %s: %w", name, ErrRunning)
	case name == activation.HandoverName || name == controlName || isStored:
		return s.Fail(fmt.Errorf("listen %s: %w", name, ErrReserved))
	}
	return nil
}

func (s *Service) listen(want handover.Bound) (net.Listener, error) {
	socket, bound, err := obtain(s, want, s.table.Listen, activation.Bind)
	switch {
	case err != nil && s.dryRun && isForbidden(err):
		s.log.Warn("this dry run cannot listen here, where a socket unit or a new sandbox may let it", "error", err)
		return newConnQueue(askedAddr(want)), nil
	case err != nil:
		return nil, err
	}
	setUnlink(socket, false)
	s.listeners = append(s.listeners, &listener{socket, want.Name, bound})
	return socket, nil
}

// isForbidden reports whether an address cannot be bound because of the sandbox, or the user. A dry run has those of the process that
// runs, and the process that it stands for may have others.
func isForbidden(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EACCES, syscall.EPERM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// askedAddr is the address of a listener that there is none of.
func askedAddr(want handover.Bound) net.Addr {
	if tcp, err := net.ResolveTCPAddr(want.Network, want.Address); err == nil {
		return tcp
	}
	return &net.UnixAddr{Net: want.Network, Name: want.Address}
}

// obtain takes a socket that was handed over, or binds one. bound is nil if it is systemd's.
func obtain[T any](s *Service, want handover.Bound, take func(name, network, address string) (T, error),
	bind func(network, address string) (T, error)) (socket T, bound *handover.Bound, err error) {
	old := s.boundBefore(want)
	switch {
	case s.fromManager(&want):
		socket, err = take(want.Name, want.Network, want.Address)
		return socket, nil, err
	case old != nil:
		want.File = old.File
		socket, err = take(old.Name, want.Network, want.Address)
	default:
		socket, err = bind(want.Network, want.Address)
		want.File = fileOf(want)
		if err != nil && want.Name != controlName {
			err = fmt.Errorf("no socket named %q was handed over: %w", want.Name, err)
		}
	}
	return socket, &want, err
}

// boundBefore finds what an earlier generation had bound at the same place, under whatever name, unless its Unix path has
// gone since, as systemd removes a RuntimeDirectory on a restart.
func (s *Service) boundBefore(want handover.Bound) *handover.Bound {
	_, port, _ := net.SplitHostPort(want.Address)
	for _, anyName := range []bool{false, port != "0"} {
		for i, b := range s.handed {
			if b.Network == want.Network && b.Address == want.Address && (anyName || b.Name == want.Name) && b.File == fileOf(b) {
				return &s.handed[i]
			}
		}
	}
	return nil
}

// fromManager reports whether the service manager handed over a file of that name. Where there is an earlier generation's of
// the same name too, it sets the address to that of the manager's, which comes first.
func (s *Service) fromManager(want *handover.Bound) bool {
	var named []activation.File
	for _, f := range s.table.Files() {
		if f.Name == want.Name {
			named = append(named, f)
		}
	}
	bound := 0
	for _, b := range s.handed {
		if b.Name == want.Name {
			bound++
		}
	}
	if bound > 0 && len(named) == bound+1 {
		want.Address = named[0].Address
	}
	return len(named) > bound
}

// setUnlink says whether closing l removes its path, if it has one: while there is a successor to serve it, it must not.
func setUnlink(socket io.Closer, unlink bool) {
	switch u := socket.(type) {
	case *net.UnixListener:
		u.SetUnlinkOnClose(unlink)
	case packetSocket:
		u.packetGate().unlink.Store(unlink)
	}
}

// nameToMove is nameOf for a listener whose connections may move. One around it hides it, and would do so without a word.
func (s *Service) nameToMove(listener net.Listener) string {
	name := s.nameOf(listener)
	for _, l := range s.listeners {
		if hidden, ok := l.socket.(net.Listener); name == "" && ok && hidden.Addr().String() == listener.Addr().String() {
			s.log.Info("the listener was wrapped: its connections do not move", "name", l.name, "type", fmt.Sprintf("%T", listener))
		}
	}
	return name
}

// nameOf returns the name by which Listen or ListenPacket returned the socket, "" if they did not.
func (s *Service) nameOf(socket io.Closer) string {
	for _, l := range s.listeners {
		if l.socket == socket {
			return l.name
		}
	}
	return ""
}
