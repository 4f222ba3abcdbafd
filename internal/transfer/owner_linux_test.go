package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A // A giving is a Peer, the Owner of its connections, their clients, and the
// other end of its socket.
type giving struct {
	*Peer
	conns    *conntrack.Registry
	endpoint *conntrack.Endpoint
	back     chan net.Conn // to be served here
	ours     *handover.Conn
	there    *handover.Conn
	clients  []net.Conn
	wrap     func(*net.TCPConn) net.Conn // what is around each connection, nil for nothing
	log      lockedBuffer
	ran      chan struct{}
}

// A passed is a connection at rest.
type passed struct{ conntrack.Info }

func (*passed) Release()     {}
func (*passed) Restore(bool) {}

// newGiving makes one whose messages carry most connections.
func newGiving(most int) (*giving, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ours, end, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	there, err := handover.FromDescriptor(end)
	if err != nil {
		return nil, err
	}
	g := &giving{
		conns: conntrack.New(conntrack.Config{}),
		back:  make(chan net.Conn, 1000),
		ours:  ours,
		there: there,
		ran:   make(chan struct{}),
	}
	g.endpoint = &conntrack.Endpoint{Registry: g.conns, Listener: listener, Name: "http", Movable: true}
	var target handover.Message
	target.Listeners = []string{"http"}
	g.Peer = NewPeer(ours, target, g, hclog.New(&hclog.LoggerOptions{Output: &g.log}))
	g.size = batchSize{most, most}
	return g, nil
}

// TakeBack and ServeMeanwhile have connections served here.
func (g *giving) TakeBack(conns []conntrack.Conn) {
	for _, c := range conns {
		g.conns.Remove(c)
		g.back <- c.Base().Raw
	}
}

func (g *giving) ServeMeanwhile(conns []conntrack.Conn) { g.TakeBack(conns) }

// LookAgain does nothing: here nothing has a phase.
func (g *giving) LookAgain() {}

// Len returns how many connections are open here.
func (g *giving) Len() int { return g.conns.Len() }

func (g *giving) run() {
	defer close(g.ran)
	g.Run()
}

// pass passes count new connections.
func (g *giving) pass(count int) error { return g.passEach(count, nil) }

// passEach passes count new connections with a copy of state each.
func (g *giving) passEach(count int, state []byte) error {
	for range count {
		client, err := net.Dial("tcp", g.endpoint.Listener.Addr().String())
		if err != nil {
			return err
		}
		g.clients = append(g.clients, client)
		nc, err := g.endpoint.Listener.Accept()
		if err != nil {
			return err
		}
		if g.wrap != nil {
			nc = g.wrap(nc.(*net.TCPConn))
		}
		c := &passed{conntrack.Info{Raw: nc, Endpoint: g.endpoint, Left: bytes.Clone(state)}}
		g.conns.Add(c)
		g.Pass(c)
	}
	return nil
}

// receive receives one message of count connections.
func (g *giving) receive(count int) ([]int, error) {
	_ = g.there.SetReadDeadline(patience.Deadline(time.Minute))
	_, fds, err := g.there.Receive()
	if err == nil && len(fds) != count {
		err = fmt.Errorf("a message of %d connections, want %d", len(fds), count)
	}
	return fds, err
}

// backs returns how many connections came back.
func (g *giving) backs() int {
	n := 0
	for {
		select {
		case <-g.back:
			n++
		default:
			return n
		}
	}
}

func (g *giving) close() {
	g.Abandon()
	_ = g.ours.Close()
	_ = g.endpoint.Listener.Close()
	_ = g.there.Close()
	for _, c := range g.clients {
		_ = c.Close()
	}
	<-g.ran
}

// sent returns a giver of 25 connections, of which the first two messages are
// sent and taken by nobody yet, and the last five wait here.
func sent(t *testing.T) (g *giving, fds []int) {
	t.Helper()
	g, err := newGiving(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.pass(25); err != nil {
		t.Fatal(err)
	}
	go g.run()
	t.Cleanup(g.close)
	for range 2 {
		got, err := g.receive(10)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, got...)
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	return g, fds
}

func checkOwners(t *testing.T, g *giving, back, open int) {
	t.Helper()
	if n := g.backs(); n != back {
		t.Errorf("%d connections came back, want %d", n, back)
	}
	if n := g.Len(); n != open {
		t.Errorf("%d connections are open here, want %d", n, open)
	}
}

// TestOwnerStop has the successor say that the service ends: what it was sent
// it has, and says how much of it only later.
func TestOwnerStop(t *testing.T) {
	g, _ := sent(t)
	g.Stop()
	checkOwners(t, g, 5, 20)
	g.Accepted(10, false)
	checkOwners(t, g, 0, 10)
	g.Accepted(7, false)
	checkOwners(t, g, 3, 0)
	if err := g.pass(1); err != nil {
		t.Fatal(err)
	}
	checkOwners(t, g, 1, 0)
}

// TestOwnerDeath has the successor die before it has said anything.
func TestOwnerDeath(t *testing.T) {
	g, _ := sent(t)
	g.Lose()
	checkOwners(t, g, 25, 0)
}

// TestOwnerDeadline has the time of a drain be over while the successor hangs:
// what it was sent is closed here, and lives on there.
func TestOwnerDeadline(t *testing.T) {
	g, fds := sent(t)
	g.Abandon()
	checkOwners(t, g, 5, 0)
	g.Accepted(10, false)
	checkOwners(t, g, 0, 0)
	if len(fds) != 20 {
		t.Fatalf("%d descriptors", len(fds))
	}
	for _, fd := range fds {
		if _, err := unix.Write(fd, []byte("alive")); err != nil {
			t.Errorf("a connection that was sent: %v", err)
		}
	}
	for _, c := range g.clients[:20] {
		_ = c.SetReadDeadline(patience.Deadline(time.Minute))
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Errorf("a client whose connection was sent: %v", err)
		}
	}
}

// TestOwnerShortage sends while the process, or its user, may have nothing more
// open: nothing that was sent comes back, and what was not goes later.
func TestOwnerShortage(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=shortage")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// shortage is the process of TestOwnerShortage.
func shortage() error {
	g, err := newGiving(10)
	if err != nil {
		return err
	}
	if err := g.pass(15); err != nil {
		return err
	}
	go g.run()
	for _, n := range []int{10, 5} {
		if _, err := g.receive(n); err != nil {
			return err
		}
	}
	if err := g.pass(10); err != nil {
		return err
	}
	filled, empty, err := fillUser()
	if err != nil {
		return err
	}
	g.Accepted(10, false)
	if !patience.Until(30*time.Second, func() bool { return strings.Contains(g.log.String(), "cannot move for now") }) {
		return fmt.Errorf("no word of the shortage: %s", g.log.String())
	}
	if n := g.backs(); n != 0 {
		return fmt.Errorf("%d connections came back", n)
	}
	if n := g.Len(); n != 15 {
		return fmt.Errorf("%d connections are open, want the 5 that are sent and the 10 that wait", n)
	}
	empty(filled)
	g.Accepted(5, false)
	for got := 0; got < 10; {
		_ = g.there.SetReadDeadline(patience.Deadline(time.Minute))
		_, fds, err := g.there.Receive()
		if err != nil {
			return err
		}
		got += len(fds)
		g.Accepted(len(fds), false)
	}
	if n := g.backs(); n != 0 {
		return fmt.Errorf("%d connections came back", n)
	}
	if n := strings.Count(g.log.String(), "cannot move for now"); n != 1 || !strings.Contains(g.log.String(), "move again") {
		return fmt.Errorf("%d words of one shortage, or none of its end: %s", n, g.log.String())
	}
	return nil
}

// fillUser has as many descriptors in flight as a user without privileges may.
func fillUser() (sent int, empty func(int), err error) {
	limit := unix.Rlimit{Cur: 100, Max: 100}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, nil, err
	}
	if os.Geteuid() == 0 {
		const nobody = 65533
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return 0, nil, err
		}
	}
	ours, end, err := handover.Pair()
	if err != nil {
		return 0, nil, err
	}
	theirs, err := handover.FromDescriptor(end)
	if err != nil {
		return 0, nil, err
	}
	for err == nil {
		if err = ours.TrySend(handover.Message{Type: handover.Connections}, make([]int, 20)...); err == nil {
			sent++
		}
	}
	if !errors.Is(err, syscall.ETOOMANYREFS) {
		return 0, nil, err
	}
	return sent, func(n int) {
		for range n {
			_, fds, _ := theirs.TryReceive()
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}, nil
}
