package transfer

import (
	"errors"
	"math"
	"net"
	"os"
	"reflect"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// handoverPair returns both ends of a handover socket.
func handoverPair(t *testing.T) (ours, theirs *handover.Conn) {
	t.Helper()
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if theirs, err = handover.FromDescriptor(end); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	return ours, theirs
}

// sendOne sends a connection as the predecessor's of a listener.
func sendOne(t *testing.T, conn *handover.Conn, c *passed) {
	t.Helper()
	if err := (batch{c}).send(conn.TrySend); err != nil {
		t.Fatal(err)
	}
}

// TestTake acknowledges a connection before it is served, and one that nothing
// here serves as not taken.
func TestTake(t *testing.T) {
	predecessor, here := handoverPair(t)
	h := newHome()
	known, _ := h.accept(t, "http")
	unknown, _ := h.accept(t, "gone")
	acknowledged := 0
	server := Server{Endpoint: known.Endpoint, Receive: func(a Arrival) {
		defer a.Conn.Close()
		m, _, err := predecessor.TryReceive()
		if err != nil || m.Type != handover.Accepted || m.Count != 1 {
			t.Errorf("served before it was acknowledged: %s of %d, %v", m.Type, m.Count, err)
		}
		acknowledged++
	}}
	r := NewReceiver([]Server{server}, hclog.NewNullLogger())
	for _, c := range []*passed{known, unknown} {
		sendOne(t, predecessor, c)
		m, fds, err := Next(here, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Take(here, nil, 1, m, fds, false) {
			t.Error("the predecessor could not be told")
		}
	}
	m, _, err := predecessor.TryReceive()
	if acknowledged != 1 || err != nil || m.Count != 0 {
		t.Errorf("%d connections were served; the other: %d taken, %v", acknowledged, m.Count, err)
	}
}

// TestTakeShort has room for no more than some of the connections of a message.
func TestTakeShort(t *testing.T) {
	predecessor, here := handoverPair(t)
	h := newHome()
	var b batch
	var first *passed
	for range 3 {
		c, _ := h.accept(t, "http")
		if first == nil {
			first = c
		}
		c.Endpoint = first.Endpoint
		b = append(b, c)
	}
	if err := b.send(predecessor.TrySend); err != nil {
		t.Fatal(err)
	}
	r, arrived := arrivalsAt(t, first.Endpoint)
	m, fds, err := Next(here, nil)
	if err != nil || len(fds) != 3 {
		t.Fatalf("received %d descriptors, %v", len(fds), err)
	}
	fdutil.CloseAll(fds[2:])
	r.Take(here, nil, 1, m, fds[:2], true)
	taken, _, err := predecessor.TryReceive()
	if err != nil || taken.Count != 2 || taken.Reason == "" || len(*arrived) != 2 {
		t.Errorf("%d arrived; told the predecessor: %+v, %v", len(*arrived), taken, err)
	}
}

// TestTakeMute has the socket shut for what this process says: the connection
// stays the predecessor's.
func TestTakeMute(t *testing.T) {
	predecessor, here := handoverPair(t)
	h := newHome()
	c, client := h.accept(t, "http")
	sendOne(t, predecessor, c)
	m, fds, err := Next(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, arrived := arrivalsAt(t, c.Endpoint)
	_ = here.Close() // as good as any error but that of a predecessor that is gone
	if r.Take(here, nil, 1, m, fds, false) || len(*arrived) > 0 {
		t.Errorf("%d connections are served that the predecessor takes for its own", len(*arrived))
	}
	if _, err := c.Raw.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the connection is closed for the predecessor: %v", err)
	}
}

// TestTakeMuteForgets has sessions of TLS stay the predecessor's. Nothing is
// left of their secrets here.
func TestTakeMuteForgets(t *testing.T) {
	_, here := handoverPair(t)
	_ = here.Close()
	h := newHome()
	c, _ := h.accept(t, "https")
	c.Endpoint.Kind = conntrack.HTTPS
	r, _ := arrivalsAt(t, c.Endpoint)
	fd, err := fdutil.Duplicate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	m := messageFor(c.Endpoint)
	m.States = [][]byte{[]byte("secret")}
	if r.Take(here, nil, 1, m, []int{fd}, false) || string(m.States[0]) != "\x00\x00\x00\x00\x00\x00" {
		t.Errorf("left is %q", m.States)
	}
}

// TestAcknowledgeLater has no memory for the answer, twice, and none until it is
// released.
func TestAcknowledgeLater(t *testing.T) {
	predecessor, here := handoverPair(t)
	accepted := handover.Message{Type: handover.Accepted, Count: 3}
	lacking := 2
	send := func(m handover.Message, fds ...int) error {
		if lacking > 0 {
			lacking--
			return os.NewSyscallError("sendmsg", unix.ENOBUFS)
		}
		return here.TrySend(m, fds...)
	}
	if err := acknowledge(here, send, accepted, nil); err != nil {
		t.Errorf("with memory the third time: %v", err)
	}
	if m, _, err := predecessor.TryReceive(); err != nil || m.Count != 3 {
		t.Errorf("the predecessor was told %+v, %v", m, err)
	}
	released := make(chan struct{})
	close(released)
	lacking = math.MaxInt
	if err := acknowledge(here, send, accepted, released); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("released: %v, want ENOBUFS", err)
	}
}

// TestServerFor tells listeners apart by name and kind, and those of one name
// by address. A predecessor is told of those whose connections may move here.
func TestServerFor(t *testing.T) {
	endpoint := func(name, address string, kind conntrack.Kind, movable bool) Server {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return Server{Endpoint: &conntrack.Endpoint{Name: name, Listener: conntrack.NewMovedListener(a), Kind: kind, Movable: movable}}
	}
	r := NewReceiver([]Server{
		endpoint("web", "127.0.0.1:1", conntrack.HTTP, false),
		endpoint("web", "127.0.0.1:2", conntrack.HTTP, true),
		endpoint("web", "127.0.0.1:3", conntrack.HTTP, true),
		endpoint("web", "127.0.0.1:4", conntrack.Streams, true),
		endpoint("tls", "127.0.0.1:5", conntrack.HTTPS, true),
		endpoint("web", "127.0.0.1:6", conntrack.SecureStreams, true),
	}, hclog.NewNullLogger())
	if got, want := r.Moving(), (handover.Moving{
		Listeners:     []string{"web", "web"},
		Streams:       []string{"web"},
		Sessions:      []string{"tls"},
		SecureStreams: []string{"web"},
		SessionFormat: tlsmove.Format,
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("the connections of %+v move here, want %+v", got, want)
	}
	for _, test := range []struct {
		name, address string
		kind          conntrack.Kind
		want          int // -1 for none
	}{
		{"web", "127.0.0.1:1", conntrack.HTTP, 1}, // cannot move there: the next best
		{"web", "127.0.0.1:3", conntrack.HTTP, 2},
		{"web", "127.0.0.1:9", conntrack.HTTP, 1},
		{"web", "127.0.0.1:2", conntrack.Streams, 3},
		{"other", "127.0.0.1:2", conntrack.HTTP, -1},
		{"tls", "127.0.0.1:5", conntrack.HTTPS, 4},
		{"tls", "127.0.0.1:5", conntrack.HTTP, -1}, // its clients would be answered nonsense
		{"web", "127.0.0.1:2", conntrack.HTTPS, -1},
		{"web", "127.0.0.1:6", conntrack.SecureStreams, 5},
		{"tls", "127.0.0.1:6", conntrack.SecureStreams, -1},
	} {
		m := messageFor(endpoint(test.name, test.address, test.kind, true).Endpoint)
		if got := indexOf(r, m); got != test.want {
			t.Errorf("%+v: server %d", test, got)
		}
		if m.SecureStream = ""; test.kind == conntrack.SecureStreams && indexOf(r, m) >= 0 {
			t.Errorf("%+v: a reader that knows no streams with TLS has a server for it", test)
		}
	}
}

// indexOf returns which server is that for m, -1 if there is none.
func indexOf(r *Receiver, m handover.Message) int {
	for i := range r.servers {
		if r.serverFor(m) == &r.servers[i] {
			return i
		}
	}
	return -1
}

// TestNextWaits leaves a message, whose descriptors there is no room for, where
// it is, until it is released.
func TestNextWaits(t *testing.T) {
	predecessor, here := handoverPair(t)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	m := handover.Message{Type: handover.Predecessor}
	if err := predecessor.TrySend(m, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	type received struct {
		fds []int
		err error
	}
	got := make(chan received)
	go func() {
		_, fds, err := Next(here, nil)
		got <- received{fds, err}
	}()
	select {
	case r := <-got:
		t.Errorf("received %d descriptors, %v", len(r.fds), r.err)
		got = nil
	default:
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if got == nil {
		return
	}
	if r := <-got; r.err != nil || len(r.fds) != 1 {
		t.Errorf("received %d descriptors, %v, want the one that was sent", len(r.fds), r.err)
	} else {
		fdutil.CloseAll(r.fds)
	}
}
