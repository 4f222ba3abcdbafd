package gate_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

var errShut = fmt.Errorf("%w: another reads", net.ErrClosed)

// A gated is a socket with a gate.
type gated struct {
	net.PacketConn
	*gate.Gate
}

func newGated(t *testing.T, remove func()) gated {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := gated{conn, gate.New(conn, errShut, remove)}
	t.Cleanup(func() { _ = conn.Close() })
	return g
}

func (g gated) send(t *testing.T, text string) {
	t.Helper()
	if _, err := g.WriteTo([]byte(text), g.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

func (g gated) read() (string, error) {
	p := make([]byte, 100)
	n, err := 0, g.Enter()
	if err == nil {
		n, _, err = g.ReadFrom(p)
	}
	return string(p[:n]), g.Leave(err)
}

// reads reads in a goroutine of its own.
func (g gated) reads() <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := g.read()
		done <- err
	}()
	return done
}

func TestReadsWaitUntilItOpens(t *testing.T) {
	g := newGated(t, nil)
	g.send(t, "hello")
	if err := g.Gate.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if text, err := g.read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %q, %v through a gate that is not open", text, err)
	}
	if err := g.Gate.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := g.reads()
	g.Open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShutLeavesDatagrams(t *testing.T) {
	g := newGated(t, nil)
	g.Open()
	done := g.reads()
	g.Shut()
	g.Shut()
	g.Open() // too late
	if err := <-done; !errors.Is(err, errShut) {
		t.Fatalf("a read that waited: %v", err)
	}
	<-g.Told()
	g.send(t, "for the next")
	if err := g.Gate.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if text, err := g.read(); !errors.Is(err, errShut) {
		t.Fatalf("read %q, %v through a shut gate", text, err)
	}
	_ = g.PacketConn.SetReadDeadline(patience.Deadline(time.Minute)) // as the next process may
	p := make([]byte, 100)
	if n, _, err := g.ReadFrom(p); err != nil || string(p[:n]) != "for the next" {
		t.Fatalf("the next process reads %q, %v", p[:n], err)
	}
}

func TestCloseEndsReads(t *testing.T) {
	removed := 0
	for _, unlink := range []bool{false, true} {
		g := newGated(t, func() { removed++ })
		done := g.reads()
		g.SetUnlink(unlink)
		if err := g.Gate.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) || errors.Is(err, errShut) {
			t.Errorf("a read that waited: %v", err)
		}
		if err := g.Gate.Close(); err == nil {
			t.Error("closed twice")
		}
	}
	if removed != 1 {
		t.Errorf("the path was removed %d times", removed)
	}
}

func TestRawConn(t *testing.T) {
	g := newGated(t, nil)
	raw, err := g.RawConn(g.PacketConn.(*net.UDPConn).SyscallConn())
	if err != nil {
		t.Fatal(err)
	}
	g.Shut()
	err = raw.Read(func(uintptr) bool {
		t.Error("the socket was read")
		return true
	})
	if !errors.Is(err, errShut) {
		t.Error(err)
	}
	if raw, err := g.RawConn(nil, errShut); raw != nil || err != errShut {
		t.Errorf("of no connection: %v, %v", raw, err)
	}
}
