package lifecycle_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// packetReads are the methods by which what ListenPacket returned can be read,
// and the socket of package net in it.
func packetReads(t *testing.T, conn net.PacketConn) (map[string]func(p []byte) error, net.PacketConn) {
	t.Helper()
	oob := make([]byte, 64)
	reads := map[string]func(p []byte) error{
		"Read":     func(p []byte) error { _, err := conn.(net.Conn).Read(p); return err },
		"ReadFrom": func(p []byte) error { _, _, err := conn.ReadFrom(p); return err },
		"SyscallConn": func([]byte) error {
			raw, err := conn.(syscall.Conn).SyscallConn()
			if err != nil {
				return err
			}
			return raw.Read(func(uintptr) bool { return true })
		},
	}
	switch c := conn.(type) {
	case *lifecycle.UDPConn:
		reads["ReadFromUDP"] = func(p []byte) error { _, _, err := c.ReadFromUDP(p); return err }
		reads["ReadFromUDPAddrPort"] = func(p []byte) error { _, _, err := c.ReadFromUDPAddrPort(p); return err }
		reads["ReadMsgUDP"] = func(p []byte) error { _, _, _, _, err := c.ReadMsgUDP(p, oob); return err }
		reads["ReadMsgUDPAddrPort"] = func(p []byte) error { _, _, _, _, err := c.ReadMsgUDPAddrPort(p, oob); return err }
		return reads, c.UDPConn
	case *lifecycle.UnixConn:
		reads["ReadFromUnix"] = func(p []byte) error { _, _, err := c.ReadFromUnix(p); return err }
		reads["ReadMsgUnix"] = func(p []byte) error { _, _, _, _, err := c.ReadMsgUnix(p, oob); return err }
		return reads, c.UnixConn
	case *lifecycle.IPConn:
		reads["ReadFromIP"] = func(p []byte) error { _, _, err := c.ReadFromIP(p); return err }
		reads["ReadMsgIP"] = func(p []byte) error { _, _, _, _, err := c.ReadMsgIP(p, oob); return err }
		return reads, c.IPConn
	}
	t.Fatalf("%T is no type that ListenPacket returns", conn)
	return nil, nil
}

// TestPacketTypes goes through what a program may do with the types that it
// gets: each way to read heeds the drain, but that of the socket inside.
func TestPacketTypes(t *testing.T) {
	for _, test := range []struct{ network, address string }{
		{"udp", "127.0.0.1:0"},
		{"unixgram", filepath.Join(t.TempDir(), "gated")},
		{"ip4:253", "127.0.0.1"}, // a protocol for experiments
	} {
		if test.network == "ip4:253" && os.Geteuid() != 0 {
			continue // which is root's alone
		}
		socket, err := activation.BindPacket(test.network, test.address)
		if err != nil {
			t.Fatal(err)
		}
		conn, open, shut, err := lifecycle.Gate(socket)
		if err != nil {
			t.Fatal(err)
		}
		open()
		shut()
		reads, inside := packetReads(t, conn)
		for name, read := range reads {
			if err := read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) || !errors.Is(err, lifecycle.ErrDraining) {
				t.Errorf("%T.%s: %v, want net.ErrClosed and ErrDraining", conn, name, err)
			}
		}
		if _, _, err := inside.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%T: %v, want that of the deadline", inside, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := inside.ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%T: %v after Close, want net.ErrClosed", inside, err)
		}
	}
}

// TestPacketConnUnsupported is for sockets of other kinds.
func TestPacketConnUnsupported(t *testing.T) {
	socket, err := activation.BindPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	conn, _, _, err := lifecycle.Gate(socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := lifecycle.Gate(conn); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
}
