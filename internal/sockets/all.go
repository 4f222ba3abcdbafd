package sockets

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// ListenAll returns each listener of a name and network that the service
// manager handed over, or one as Listen does. On an error nothing is left open.
func (s *Set) ListenAll(want handover.Bound) ([]net.Listener, error) {
	isListener := func(f activation.File) bool { return f.Listening }
	return listenAll(s, want, isListener, s.Listen)
}

// ListenPacketAll is to ListenPacket as ListenAll is to Listen.
func (s *Set) ListenPacketAll(want handover.Bound, gated Gated) ([]net.PacketConn, error) {
	isUnconnected := func(f activation.File) bool { return !f.Listening }
	return listenAll(s, want, isUnconnected, func(one handover.Bound) (net.PacketConn, error) {
		return s.ListenPacket(one, gated)
	})
}

func listenAll[T io.Closer](s *Set, want handover.Bound, isKind func(activation.File) bool,
	listen func(handover.Bound) (T, error)) ([]T, error) {
	before := len(s.all)
	var all []T
	for _, one := range s.eachFromManager(want, isKind) {
		socket, err := listen(one)
		if err != nil {
			for _, k := range s.all[before:] {
				_ = k.Close()
			}
			s.all = s.all[:before]
			return nil, err
		}
		all = append(all, socket)
	}
	return all, nil
}

// eachFromManager splits want by the addresses of what the service manager
// handed over under that name. It is left as it is if there is nothing of that
// kind: then it is bound, or wrong.
func (s *Set) eachFromManager(want handover.Bound, isKind func(activation.File) bool) []handover.Bound {
	var each []handover.Bound
	for _, f := range s.managersOwn(want.Name) {
		if !f.Claimed && isKind(f) && f.Is(want.Network) {
			one := want
			one.Address = f.Address
			each = append(each, one)
		}
	}
	if len(each) == 0 {
		return []handover.Bound{want}
	}
	return each
}

// managersOwn returns the files of a name that the service manager handed over.
// They come before those in its store, which earlier generations had bound.
func (s *Set) managersOwn(name string) []activation.File {
	var named []activation.File
	for _, f := range s.from.Table.Files() {
		if f.Name == name {
			named = append(named, f)
		}
	}
	own := len(named)
	for _, b := range s.from.Bound {
		if b.Name == name && own > 0 {
			own--
		}
	}
	return named[:own]
}

// AdviseAll says what to call where an address picks none of several sockets.
func AdviseAll(err error, method string) error {
	if !errors.Is(err, activation.ErrAmbiguous) {
		return err
	}
	return fmt.Errorf("%w; Service.%s returns them all", err, method)
}
