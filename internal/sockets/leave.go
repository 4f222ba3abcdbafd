package sockets

import (
	"slices"
	"strings"
	"syscall"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// CloseUnclaimed closes the sockets that were handed over and not asked for:
// the program will not ask for them now.
//
// It warns of the sockets of socket units among them. Their units still listen,
// so clients connect to them and wait for ever. What an earlier generation has
// bound ends with this one, which is as it should be.
func (s *Set) CloseUnclaimed() {
	for _, f := range s.from.Table.Files() {
		isOurs := strings.HasPrefix(f.Name, activation.HandoverName) ||
			slices.ContainsFunc(s.from.Bound, func(b handover.Bound) bool { return b.Name == f.Name })
		takesPackets := f.Peer == "" && slices.Contains([]string{"udp", "unixgram"}, f.Network)
		if f.Claimed || isOurs || !f.Listening && !takesPackets {
			continue
		}
		s.log.Warn("nobody asked for a socket that was handed over: its clients get no answer", "socket", f.String())
	}
	if err := s.from.Table.Close(); err != nil {
		s.log.Warn("cannot close what nobody asked for", "error", err)
	}
}

// Stored returns what belongs in the file descriptor store: every socket that
// is not systemd's own.
func (s *Set) Stored() []fdstore.Socket {
	var stored []fdstore.Socket
	for _, k := range s.all {
		conn, ok := k.socket.(syscall.Conn)
		if !ok || !k.isStored() {
			continue
		}
		stored = append(stored, fdstore.Socket{Name: k.name, Conn: conn, Packets: gate.Of(k.socket) != nil})
	}
	return stored
}

// Obsolete returns the names in a file descriptor store of entries that the
// program has not asked for in this process: sockets of an earlier
// configuration, and files that another program has put there.
func (s *Set) Obsolete(store *fdstore.Store) []string {
	names := store.Unclaimed(s.from.Table)
	for _, b := range s.from.Bound {
		isKept := func(k *Socket) bool { return k.bound != nil && *k.bound == b }
		if b.Name != control.ListenerName && !slices.ContainsFunc(s.all, isKept) {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// RemovePaths removes the Unix paths of the sockets that are in the file
// descriptor store if isEnding says that the service ends for good. If it is to
// be restarted they stay: the next process replaces them.
func (s *Set) RemovePaths(isEnding func() bool) {
	var paths []handover.Bound
	for _, k := range s.all {
		if k.isStored() && k.bound.File != (handover.FileID{}) {
			paths = append(paths, *k.bound)
		}
	}
	if len(paths) == 0 || !isEnding() {
		return
	}
	for _, b := range paths {
		if err := RemovePath(b); err != nil {
			s.log.Warn("cannot remove the path of a socket", "error", err)
		}
	}
}
