package sockets

import (
	"io"
	"net"
	"sync"

	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A Socket owns a listener or a packet socket: it alone knows the name, what a
// successor has to know, and how to close it. Servers refer to it, also those
// of a listener that the program has put around it.
type Socket struct {
	socket io.Closer
	name   string
	bound  *handover.Bound // nil if it is systemd's

	closing sync.Mutex // also guards whether that removes a Unix path
	unlink  bool       // once, on Close, also if it was closed before
}

// Name returns the name by which it was asked for.
func (s *Socket) Name() string { return s.name }

// IsAround reports whether l is not the listener itself, but one that the
// program has put around it.
func (s *Socket) IsAround(l net.Listener) bool { return s.socket != l }

// isStored reports whether the socket belongs in the file descriptor store:
// systemd has its own anyway, and nobody needs the control socket of a service
// that does not run.
func (s *Socket) isStored() bool { return s.bound != nil && s.name != control.ListenerName }

// Close closes the socket. It may be called again, and does not wait: what a
// program has put around it is to be closed by its own Close.
func (s *Socket) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	err := s.socket.Close()
	if s.unlink && s.bound != nil {
		s.unlink = false         // it may be another's later, with the same inode number
		_ = RemovePath(*s.bound) // a listener that was closed before has left it
	}
	return err
}

// setUnlink says whether Close removes the path, if there is one: while there
// is a successor to serve it, it must not.
func (s *Socket) setUnlink(unlink bool) {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.unlink = unlink
	if u, ok := s.socket.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(unlink)
	} else if g := gate.Of(s.socket); g != nil {
		g.SetUnlink(unlink)
	}
}

// open lets reads of datagrams begin.
func (s *Socket) open() {
	if g := gate.Of(s.socket); g != nil {
		g.Open()
	}
}

// shut ends Accept, and reads of datagrams. Those that were read are still to
// be answered.
func (s *Socket) shut() {
	if g := gate.Of(s.socket); g != nil {
		g.Shut()
		return
	}
	_ = s.Close()
}
