package sockets_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/failing"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// TestDryRunForbidden wants sockets that the sandbox of a dry run forbids: by
// RestrictAddressFamilies= and ProtectSystem=, that is. A process that is to
// serve does not get them.
func TestDryRunForbidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	for _, c := range []struct {
		network, address string
		number           uint32
		errno            unix.Errno
	}{
		{"tcp", "127.0.0.1:0", unix.SYS_SOCKET, unix.EAFNOSUPPORT},
		{"udp", "127.0.0.1:0", unix.SYS_SOCKET, unix.EAFNOSUPPORT},
		{"udp6", "[::1]:53", unix.SYS_SOCKET, unix.EAFNOSUPPORT},
		{"ip:icmp", "127.0.0.1", unix.SYS_SOCKET, unix.EPERM},
		{"vsock", "2:80", unix.SYS_SOCKET, unix.EAFNOSUPPORT},
		{"udp", "127.0.0.1:53", unix.SYS_BIND, unix.EACCES},
		{"unix", path, unix.SYS_BIND, unix.EROFS},
		{"unixpacket", path, unix.SYS_BIND, unix.EROFS},
		{"unixgram", path, unix.SYS_BIND, unix.EROFS},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			want := handover.Bound{Name: "new", Network: c.network, Address: c.address}
			dry, wet := newSets(t)
			if err := failing.Call(c.number, c.errno); err != nil {
				t.Error(err)
				return
			}
			if err := listenAny(dry, want); err != nil {
				t.Errorf("%s: %v", c.network, err)
			}
			if len(dry.Bound()) > 0 {
				t.Errorf("%s: %v is to be handed over", c.network, dry.Bound())
			}
			if err := listenAny(wet, want); err == nil {
				t.Errorf("%s: no error where it is to serve", c.network)
			}
		}()
		<-done
	}
}

// newSets makes a Set of a dry run, and one of a process that is to serve.
func newSets(t *testing.T) (dry, wet *sockets.Set) {
	table, err := activation.Inherit()
	if err != nil {
		t.Error(err)
	}
	log := hclog.NewNullLogger()
	return sockets.New(sockets.Origin{Table: table, DryRun: true}, log), sockets.New(sockets.Origin{Table: table}, log)
}

// listenAny asks for the sockets of a name, and closes them.
func listenAny(set *sockets.Set, want handover.Bound) error {
	switch want.Network {
	case "tcp", "unix", "unixpacket", "vsock":
		all, err := set.ListenAll(want)
		for _, l := range all {
			_ = l.Close()
		}
		return err
	}
	all, err := set.ListenPacketAll(want, func(c net.PacketConn, _ func()) (net.PacketConn, error) { return c, nil })
	for _, c := range all {
		_ = c.LocalAddr().String()
		_ = c.Close()
	}
	return err
}

// TestDryRunDirectory wants Unix sockets whose directory the unit has yet to make,
// by RuntimeDirectory=. A directory that is there is no such reason.
func TestDryRunDirectory(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("nowhere/socket", dangling); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"unix", "unixpacket", "unixgram"} {
		dry, wet := newSets(t)
		want := handover.Bound{Name: "new", Network: network, Address: filepath.Join(dir, "foo/socket")}
		if err := listenAny(dry, want); err != nil {
			t.Errorf("%s: %v", network, err)
		}
		if err := listenAny(wet, want); !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: %v where it is to serve", network, err)
		}
		want.Address = dangling
		if err := listenAny(dry, want); err == nil {
			t.Errorf("%s: no error for a path that is taken", network)
		}
	}
}

// TestDryRunStandIn gives a dry run a packet socket of the type that it
// expects, though not with that address.
func TestDryRunStandIn(t *testing.T) {
	dry, _ := newSets(t)
	want := handover.Bound{Name: "dns", Network: "udp", Address: "192.0.2.1:53"} // of TEST-NET-1, RFC 5737
	c, err := dry.ListenPacket(want, func(c net.PacketConn, _ func()) (net.PacketConn, error) { return c, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*net.UDPConn); !ok {
		t.Errorf("a %T", c)
	}
}
