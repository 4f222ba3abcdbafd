package transfer

import (
	"errors"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A home is an Owner that keeps what comes back.
type home struct {
	*conntrack.Registry
	back []conntrack.Conn
}

func (h *home) TakeBack(conns []conntrack.Conn) {
	for _, c := range conns {
		h.Remove(c)
		h.back = append(h.back, c)
	}
}

func newHome() *home { return &home{Registry: conntrack.New(conntrack.Config{})} }

// accept returns a connection of an endpoint of that name, and its client.
func (h *home) accept(t *testing.T, name string) (c *passed, client net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	nc, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	e := &conntrack.Endpoint{Registry: h.Registry, Listener: listener, Name: name, Movable: true}
	c = &passed{conntrack.Info{Raw: nc, Endpoint: e}}
	h.Add(c)
	return c, client
}

// newQueue returns a Queue and the end of it that is to be read.
func newQueue(t *testing.T, owner Owner) (*Queue, *handover.Conn) {
	t.Helper()
	var end *handover.Conn
	q, err := NewQueue(handover.Message{Type: handover.Hello}, func(fd int) (err error) {
		end, err = handover.FromDescriptor(fd)
		return err
	}, owner, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		_ = end.Close()
	})
	return q, end
}

// arrivalsAt returns a Receiver for one endpoint, and what it has received.
func arrivalsAt(t *testing.T, e *conntrack.Endpoint) (*Receiver, *[]net.Conn) {
	t.Helper()
	var arrived []net.Conn
	t.Cleanup(func() {
		for _, nc := range arrived {
			_ = nc.Close()
		}
	})
	server := Server{Endpoint: e, Receive: func(a Arrival) { arrived = append(arrived, a.Conn) }}
	return NewReceiver([]Server{server}, hclog.NewNullLogger()), &arrived
}

// TestQueue queues two connections for a process to come, which serves the
// listener of one of them.
func TestQueue(t *testing.T) {
	h := newHome()
	q, end := newQueue(t, h)
	served, client := h.accept(t, "http")
	gone, goneClient := h.accept(t, "gone")
	q.Pass(served)
	<-q.Due()
	q.Pass(gone)
	select {
	case <-q.Full():
	default:
		t.Error("every connection waits, and the queue waits for more")
	}
	q.Flush()
	if n := h.Len(); n != 0 || len(h.back) > 0 {
		t.Fatalf("%d connections are open here, and %d came back", n, len(h.back))
	}
	q.Close()
	r, arrived := arrivalsAt(t, served.Endpoint)
	messages := 0
	r.TakeQueued(end, 1, nil, func() { messages++ })
	if len(*arrived) != 1 || messages != 2 {
		t.Fatalf("%d connections of %d messages arrived, want 1 of 2", len(*arrived), messages)
	}
	if _, err := (*arrived)[0].Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the connection that moved: %v", err)
	}
	if n, err := goneClient.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the connection that nothing serves is open")
	}
}

// TestQueueLost gives back what waits, and what comes later.
func TestQueueLost(t *testing.T) {
	h := newHome()
	q, _ := newQueue(t, h)
	first, _ := h.accept(t, "http")
	second, _ := h.accept(t, "http")
	if !q.Serves(first.Endpoint) {
		t.Error("the queue does not take connections")
	}
	q.Pass(first)
	q.Lose()
	q.Pass(second)
	if len(h.back) != 2 || q.Serves(first.Endpoint) {
		t.Errorf("%d of 2 connections came back, and a lost queue takes more: %v", len(h.back), q.Serves(first.Endpoint))
	}
}

// TestQueueReaderGone has the end to be read closed when connections wait.
func TestQueueReaderGone(t *testing.T) {
	h := newHome()
	q, end := newQueue(t, h)
	_ = end.Close()
	c, _ := h.accept(t, "http")
	q.Pass(c)
	q.Flush()
	if len(h.back) != 1 || q.IsKept() || !q.WasRefused() {
		t.Errorf("%d connections came back; is it kept: %v", len(h.back), q.IsKept())
	}
}

// TestQueueNotKept makes a queue whose other end nobody takes.
func TestQueueNotKept(t *testing.T) {
	_, err := NewQueue(handover.Message{Type: handover.Hello}, unix.Close, newHome(), hclog.NewNullLogger())
	if !errors.Is(err, ErrNotKept) {
		t.Errorf("%v, want ErrNotKept", err)
	}
}

// TestQueueGrows fills more than one socket.
func TestQueueGrows(t *testing.T) {
	h := newHome()
	var ends []*handover.Conn
	q, err := NewQueue(handover.Message{Type: handover.Hello}, func(fd int) error {
		end, err := handover.FromDescriptor(fd)
		ends = append(ends, end)
		return err
	}, h, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for ; len(ends) < 3 && sent < 10000; sent++ {
		m := handover.Message{Type: handover.State}
		m.States = [][]byte{make([]byte, 1000)}
		if err := q.Send(func(send SendFunc) error { return send(m) }); err != nil {
			t.Fatal(err)
		}
	}
	q.Close()
	got := 0
	for _, end := range ends {
		for {
			m, _, err := end.TryReceive()
			if err != nil {
				break
			}
			if m.Type == handover.State {
				got++
			}
		}
		_ = end.Close()
	}
	if got != sent || len(ends) != 3 {
		t.Errorf("%d of %d messages in %d sockets", got, sent, len(ends))
	}
}
