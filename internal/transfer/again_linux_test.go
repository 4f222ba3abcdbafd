package transfer

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A slow is a connection whose server takes its time.
type slow struct {
	conntrack.Info
	restore func()
}

func (*slow) Release()       {}
func (s *slow) Restore(bool) { s.restore() }

// TestRoomWhileServedMeanwhile: the successor has room again while the
// connections that it had none for are still being given back.
func TestRoomWhileServedMeanwhile(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	there, err := handover.FromDescriptor(end)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	registry := conntrack.New(conntrack.Config{Linger: time.Hour})
	defer registry.Stop()
	e := &conntrack.Endpoint{Registry: registry, Listener: listener, Name: "http", Movable: true}
	var target handover.Message
	target.Listeners = []string{"http"}
	p := NewPeer(ours, target, registry, hclog.NewNullLogger())
	registry.LeaveTo(p)
	e.SetPhase(conntrack.Moving)

	goOn := make(chan struct{})
	for _, restore := range []func(){func() { <-goOn }, func() {}} {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		nc, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := &slow{conntrack.Info{Raw: nc, Endpoint: e}, restore}
		registry.Add(c)
		p.Pass(c)
	}
	ran := make(chan struct{})
	go func() { defer close(ran); p.Run() }()
	_ = there.SetReadDeadline(patience.Deadline(time.Minute))
	_, fds, err := there.Receive()
	if err != nil {
		t.Fatal(err)
	}
	fdutil.CloseAll(fds)

	accepted := make(chan struct{})
	go func() { defer close(accepted); p.Accepted(0, true) }()
	<-registry.Again()
	for p.IsFull() { // StopMoving said so before
		<-registry.Again()
	}
	if p.IsFull() { // as drainToSink
		t.Fatal("full")
	}
	e.SetPhase(conntrack.Moving)
	registry.ReleaseAtRest()
	close(goOn)
	<-accepted
	if e.Phase() != conntrack.Moving {
		select {
		case <-registry.Again():
		case <-time.After(patience.Of(30 * time.Second)):
			t.Errorf("phase %d, the successor is full: %v, and nothing tells the loop", e.Phase(), p.IsFull())
		}
	}
	p.Stop()
	<-ran
}
