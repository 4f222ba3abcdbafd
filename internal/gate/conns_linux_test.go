package gate_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A pair is a socket with a gate, with another one to send to it.
type pair struct {
	net.PacketConn
	gate *gate.Gate
	peer net.PacketConn
}

func newPair(t *testing.T, network string) *pair {
	t.Helper()
	addresses := []string{"127.0.0.1:0", "127.0.0.1:0"}
	if network == "unixgram" {
		addresses = []string{filepath.Join(t.TempDir(), "gated"), filepath.Join(t.TempDir(), "peer")}
	}
	g := &pair{}
	switch c := bind(t, network, addresses[0]).(type) {
	case *net.UDPConn:
		gated := gate.NewUDP(c, errShut, nil)
		g.PacketConn = &gated
	case *net.UnixConn:
		gated := gate.NewUnix(c, errShut, nil)
		g.PacketConn = &gated
	}
	g.gate = gate.Of(g.PacketConn)
	g.peer = bind(t, network, addresses[1])
	return g
}

func bind(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (g *pair) receive(t *testing.T, text string) {
	t.Helper()
	if _, err := g.peer.WriteTo([]byte(text), g.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// A reader reads one datagram by one of the methods of a connection.
type reader struct {
	name string
	read func(p []byte) (int, error)
}

// readers are all methods of c that read.
func readers(c net.PacketConn) []reader {
	oob := make([]byte, 64)
	all := []reader{
		{"Read", c.(net.Conn).Read},
		{"ReadFrom", func(p []byte) (int, error) { n, _, err := c.ReadFrom(p); return n, err }},
		{"SyscallConn", func(p []byte) (int, error) { return readRaw(c.(syscall.Conn), false, p) }},
	}
	switch c := c.(type) {
	case *gate.UDP:
		all = append(all,
			reader{"ReadFromUDP", func(p []byte) (int, error) { n, _, err := c.ReadFromUDP(p); return n, err }},
			reader{"ReadFromUDPAddrPort", func(p []byte) (int, error) { n, _, err := c.ReadFromUDPAddrPort(p); return n, err }},
			reader{"ReadMsgUDP", func(p []byte) (int, error) { n, _, _, _, err := c.ReadMsgUDP(p, oob); return n, err }},
			reader{"ReadMsgUDPAddrPort", func(p []byte) (int, error) { n, _, _, _, err := c.ReadMsgUDPAddrPort(p, oob); return n, err }},
		)
	case *gate.Unix:
		all = append(all,
			reader{"ReadFromUnix", func(p []byte) (int, error) { n, _, err := c.ReadFromUnix(p); return n, err }},
			reader{"ReadMsgUnix", func(p []byte) (int, error) { n, _, _, _, err := c.ReadMsgUnix(p, oob); return n, err }},
		)
	}
	return all
}

// readRaw reads by system calls of its own, and if it is impatient tells
// EAGAIN.
func readRaw(c syscall.Conn, impatient bool, p []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		n, _, readErr = syscall.Recvfrom(int(fd), p, 0)
		return impatient || !errors.Is(readErr, syscall.EAGAIN)
	})
	return max(n, 0), errors.Join(err, readErr)
}

// eachReader runs a test for each method, over UDP and Unix sockets.
func eachReader(t *testing.T, test func(t *testing.T, g *pair, read func(p []byte) (int, error))) {
	for _, network := range []string{"udp", "unixgram"} {
		names := len(readers(newPair(t, network).PacketConn))
		for i := range names {
			g := newPair(t, network)
			r := readers(g.PacketConn)[i]
			t.Run(network+"/"+r.name, func(t *testing.T) { test(t, g, r.read) })
		}
	}
}

func checkShut(t *testing.T, n int, err error) {
	t.Helper()
	if n > 0 || !errors.Is(err, net.ErrClosed) || !errors.Is(err, errShut) {
		t.Errorf("read %d, %v, want net.ErrClosed and errShut", n, err)
	}
	var passing interface {
		Timeout() bool
		Temporary() bool
	}
	if errors.As(err, &passing) && (passing.Timeout() || passing.Temporary()) {
		t.Errorf("%v is temporary, so that servers would try again for ever", err)
	}
	if !strings.Contains(err.Error(), "use of closed network connection") {
		t.Errorf("%v is not what older servers look for", err)
	}
}

// TestReads goes through the life of a socket by each method that reads.
func TestReads(t *testing.T) {
	eachReader(t, func(t *testing.T, g *pair, read func(p []byte) (int, error)) {
		p := make([]byte, 10)
		g.receive(t, "first")
		_ = g.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := read(p); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			t.Errorf("before its turn: read %d, %v, want the deadline", n, err)
		}
		_ = g.SetReadDeadline(time.Time{})
		g.gate.Open()
		if n, err := read(p); err != nil || string(p[:n]) != "first" {
			t.Errorf("read %q, %v", p[:n], err)
		}
		_ = g.SetDeadline(time.Now())
		if _, err := read(p); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want the deadline", err)
		}
		_ = g.SetDeadline(time.Time{})
		g.gate.Shut()
		g.receive(t, "next")
		n, err := read(p)
		checkShut(t, n, err)
		_ = g.SetDeadline(time.Now().Add(time.Hour))
		_ = g.SetReadDeadline(time.Time{})
		n, err = read(p)
		checkShut(t, n, err)
		g.gate.Open()
		n, err = read(p)
		checkShut(t, n, err)
		if _, err := g.WriteTo([]byte("answer"), g.peer.LocalAddr()); err != nil {
			t.Errorf("an answer: %v", err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if _, err := read(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if err := g.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// TestReadWakes has a read under way when something happens, before its
// turn and after.
func TestReadWakes(t *testing.T) {
	for _, test := range []struct {
		name  string
		wake  func(g *pair)
		check func(t *testing.T, n int, err error)
	}{
		{"shut", func(g *pair) { g.gate.Shut() }, checkShut},
		{"closed", func(g *pair) { _ = g.Close() }, func(t *testing.T, _ int, err error) {
			if !errors.Is(err, net.ErrClosed) || errors.Is(err, errShut) {
				t.Errorf("%v, want net.ErrClosed alone", err)
			}
		}},
		{"deadline", func(g *pair) { _ = g.SetReadDeadline(time.Now()) }, func(t *testing.T, _ int, err error) {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v, want the deadline", err)
			}
		}},
		{"datagram", func(g *pair) { g.gate.Open(); _, _ = g.peer.WriteTo([]byte("hello"), g.LocalAddr()) }, func(t *testing.T, n int, err error) {
			if n != 5 || err != nil {
				t.Errorf("read %d, %v", n, err)
			}
		}},
	} {
		for _, opened := range []bool{false, true} {
			name := test.name + " before its turn"
			if opened {
				name = test.name
			}
			t.Run(name, func(t *testing.T) {
				eachReader(t, func(t *testing.T, g *pair, read func(p []byte) (int, error)) {
					if opened {
						g.gate.Open()
					}
					_ = g.SetReadDeadline(time.Now().Add(time.Hour))
					var n int
					var err error
					begun, done := make(chan struct{}), make(chan struct{})
					go func() {
						defer close(done)
						close(begun)
						n, err = read(make([]byte, 10))
					}()
					<-begun
					runtime.Gosched()
					test.wake(g)
					<-done
					test.check(t, n, err)
				})
			})
		}
	}
}

// many is how many datagrams TestNothingIsLost sends.
const many = 100

// TestNothingIsLost shuts a socket under several readers while datagrams
// come and deadlines change: each datagram was read, or is there for the next
// process.
func TestNothingIsLost(t *testing.T) {
	eachReader(t, func(t *testing.T, g *pair, read func(p []byte) (int, error)) {
		seen := make(chan string, 2*many)
		var busy sync.WaitGroup
		for range 3 {
			busy.Go(func() {
				for {
					p := make([]byte, 10)
					n, err := read(p)
					if err == nil {
						seen <- string(p[:n])
						continue
					}
					if errors.Is(err, net.ErrClosed) {
						return
					}
				}
			})
		}
		busy.Go(func() {
			for i := range 1000 {
				_ = g.SetReadDeadline(time.Now().Add(time.Duration(i%2) * time.Hour))
			}
		})
		g.gate.Open()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range many { // when nobody reads, one to a Unix socket waits
				_, _ = g.peer.WriteTo([]byte{byte(i)}, g.LocalAddr())
				if i == many/2 {
					busy.Go(g.gate.Shut)
				}
			}
		}()
		g.rest(t, &busy, sent, seen)
		all := make(map[string]bool)
		for range len(seen) {
			text := <-seen
			if all[text] {
				t.Errorf("%q came twice", text)
			}
			all[text] = true
		}
		if len(all) != many {
			t.Errorf("%d datagrams of %d are left", len(all), many)
		}
	})
}

// rest reads what is left, as the next process would.
func (g *pair) rest(t *testing.T, busy *sync.WaitGroup, sent <-chan struct{}, seen chan<- string) {
	t.Helper()
	busy.Wait()
	type socket interface {
		net.PacketConn
		syscall.Conn
	}
	var c socket
	switch gated := g.PacketConn.(type) {
	case *gate.UDP:
		c = gated.UDPConn
	case *gate.Unix:
		c = gated.UnixConn
	}
	_ = c.SetReadDeadline(time.Time{})
	p := make([]byte, 10)
	isAll := func() bool { // of what is here by now
		for {
			n, err := readRaw(c, true, p)
			switch {
			case err == nil:
				seen <- string(p[:n])
				continue
			case !errors.Is(err, syscall.EAGAIN):
				t.Fatal(err)
			}
			select {
			case <-sent: // and may be on its way
				return len(seen) >= many
			default:
				runtime.Gosched()
			}
		}
	}
	patience.Until(30*time.Second, isAll)
}

// TestReadCosts compares the allocations with those of package net.
func TestReadCosts(t *testing.T) {
	g := newPair(t, "udp")
	g.gate.Open()
	c := g.PacketConn.(*gate.UDP)
	p := make([]byte, 10)
	measure := func(read func(p []byte) (int, netip.AddrPort, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			g.receive(t, "hello")
			if _, _, err := read(p); err != nil {
				t.Fatal(err)
			}
		})
	}
	if ours, theirs := measure(c.ReadFromUDPAddrPort), measure(c.UDPConn.ReadFromUDPAddrPort); ours > theirs {
		t.Errorf("%v allocations, and %v without a gate", ours, theirs)
	}
}
