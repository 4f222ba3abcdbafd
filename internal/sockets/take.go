package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// Listen returns the listener of that name which was handed over, or binds one.
func (s *Set) Listen(want handover.Bound) (net.Listener, error) {
	socket, bound, err := obtain(s, want, s.from.Table.Listen, activation.Bind)
	switch {
	case s.isExcused(want, err):
		return conntrack.NewMovedListener(askedAddr(want)), nil
	case err != nil:
		return nil, err
	}
	k := &Socket{socket: socket, name: want.Name, bound: bound}
	k.setUnlink(false)
	s.all = append(s.all, k)
	return socket, nil
}

// Gated makes of a packet socket one that heeds which generation is to read.
// It takes ownership of conn unless there is an error. remove removes its path,
// if the service has bound it.
type Gated func(conn net.PacketConn, remove func()) (net.PacketConn, error)

// ListenPacket returns the packet socket of that name which was handed over, or
// binds one. In a dry run it may be a stand-in, which may not have come from
// gated.
func (s *Set) ListenPacket(want handover.Bound, gated Gated) (net.PacketConn, error) {
	socket, bound, err := obtain(s, want, s.from.Table.ListenPacket, activation.BindPacket)
	switch {
	case s.isExcused(want, err):
		return ungated(standIn(want), gated), nil
	case err != nil:
		return nil, err
	}
	conn, err := gated(socket, func() { _ = RemovePath(*bound) })
	if err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("listen %s: %w", want.Name, err)
	}
	s.all = append(s.all, &Socket{socket: conn, name: want.Name, bound: bound})
	return conn, nil
}

// ungated makes of a stand-in what the program expects, as far as it can be had.
func ungated(c net.PacketConn, gated Gated) net.PacketConn {
	if conn, err := gated(c, nil); err == nil {
		return conn
	}
	return c
}

// isExcused reports whether err is no reason for a dry run to fail, and logs it
// then.
func (s *Set) isExcused(want handover.Bound, err error) bool {
	if err == nil || !s.from.DryRun || !isForbidden(err) && !lacksDirectory(want, err) {
		return false
	}
	s.log.Warn("this dry run cannot listen here, where a socket unit, a new sandbox or RuntimeDirectory= may let it", "error", err)
	return true
}

// isForbidden reports whether an address cannot be bound because of the
// sandbox, or the user. A dry run has those of the process that runs, and the
// process that it stands for may have others: see Origin.
func isForbidden(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EAFNOSUPPORT, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// lacksDirectory reports whether a Unix path cannot be bound because its
// directory is not there, which systemd may make for a changed unit.
func lacksDirectory(want handover.Bound, err error) bool {
	if !strings.HasPrefix(want.Network, "unix") || !errors.Is(err, syscall.ENOENT) {
		return false
	}
	_, err = os.Stat(filepath.Dir(want.Address))
	return errors.Is(err, fs.ErrNotExist)
}

// askedAddr is the address of a listener that could not be bound.
func askedAddr(want handover.Bound) net.Addr {
	if tcp, err := net.ResolveTCPAddr(want.Network, want.Address); err == nil {
		return tcp
	}
	return &net.UnixAddr{Net: want.Network, Name: want.Address}
}

// obtain takes a socket that was handed over, or binds one. bound is nil if it
// is systemd's.
func obtain[T any](s *Set, want handover.Bound, take func(name, network, address string) (T, error),
	bind func(network, address string) (T, error)) (socket T, bound *handover.Bound, err error) {
	old := s.boundBefore(want)
	switch {
	case s.fromManager(&want):
		socket, err = take(want.Name, want.Network, want.Address)
		return socket, nil, err
	case old != nil:
		socket, err = take(old.Name, want.Network, want.Address)
		want.File = fileOf(want) // another one if it had to be bound again: the store does not have them all
	default:
		socket, err = bind(want.Network, want.Address)
		want.File = fileOf(want)
		if want.Name != control.ListenerName {
			err = s.from.Table.Explain(want.Name, want.Network, want.Address, err)
		}
	}
	return socket, &want, err
}

// boundBefore finds what an earlier generation had bound at the same place,
// under whatever name, unless its Unix path has gone since, as systemd removes
// a RuntimeDirectory on a restart.
func (s *Set) boundBefore(want handover.Bound) *handover.Bound {
	_, port, _ := net.SplitHostPort(want.Address)
	for _, anyName := range []bool{false, port != "0"} {
		for i, b := range s.from.Bound {
			if b.Network == want.Network && b.Address == want.Address && (anyName || b.Name == want.Name) && isThere(b) {
				return &s.from.Bound[i]
			}
		}
	}
	return nil
}

// fromManager reports whether the service manager handed over a file of that
// name. Where there is an earlier generation's of the same name too, it sets
// the address to that of the manager's, which comes first.
func (s *Set) fromManager(want *handover.Bound) bool {
	own := s.managersOwn(want.Name)
	if len(own) == 1 && slices.ContainsFunc(s.from.Bound, func(b handover.Bound) bool { return b.Name == want.Name }) {
		want.Address = own[0].Address
	}
	return len(own) > 0
}
