package predecessor_test

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// pair returns both ends of a handover socket: there is the older generation's.
func pair(t *testing.T) (here, there *handover.Conn) {
	t.Helper()
	here, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if there, err = handover.FromDescriptor(end); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = here.Close()
		_ = there.Close()
	})
	_ = there.SetDeadline(patience.Deadline(time.Minute))
	return here, there
}

// listen has p listened to, and returns what is delivered and the end of it.
func listen(p *predecessor.Predecessor) (delivered chan predecessor.Delivery, over chan struct{}) {
	delivered, over = make(chan predecessor.Delivery), make(chan struct{})
	r := transfer.NewReceiver(nil, hclog.NewNullLogger())
	go func() {
		defer close(over)
		p.Listen(r, func(d predecessor.Delivery, released <-chan struct{}) bool {
			select {
			case delivered <- d:
				return true
			case <-released:
				return false
			}
		})
	}()
	return delivered, over
}

// TestListen delivers messages, and the end.
func TestListen(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 1)
	delivered, over := listen(p)
	if err := there.Send(handover.Message{Type: handover.Predecessor}, 0); err != nil {
		t.Fatal(err)
	}
	d := <-delivered
	if d.Message.Type != handover.Predecessor || len(d.Descriptors) != 1 || d.Err != nil {
		t.Errorf("delivered %+v", d)
	}
	fdutil.CloseAll(d.Descriptors)
	_ = there.Close()
	if d = <-delivered; !errors.Is(d.Err, io.EOF) {
		t.Errorf("delivered %+v, want the end", d)
	}
	<-over
	p.Close()
}

// TestGive passes the socket on between two messages: the one that nobody took
// is the next owner's.
func TestGive(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 7)
	_, over := listen(p)
	ours, successor := pair(t)
	box := handover.NewOutbox(ours)
	if err := p.Give(box); err != nil {
		t.Fatal(err)
	}
	<-over
	m, fds, err := successor.Receive()
	if err != nil || m.Type != handover.Predecessor || m.PID != os.Getpid() || m.Generation != 7 || len(fds) != 1 {
		t.Fatalf("the successor was given %+v with %d descriptors, %v", m, len(fds), err)
	}
	if err := there.Send(handover.Message{Type: handover.Cut}); err != nil {
		t.Fatal(err)
	}
	next, err := handover.FromDescriptor(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if m, _, err := next.TryReceive(); err != nil || m.Type != handover.Cut {
		t.Errorf("the next owner received %+v, %v", m, err)
	}
	box.Close(0)
}

// TestReport asks for one report at a time, and is answered.
func TestReport(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 1)
	_, over := listen(p)
	go func() {
		for {
			if m, _, err := there.Receive(); err != nil || m.Type != handover.Status {
				return
			}
			m := handover.Message{Type: handover.Draining}
			m.Report = &handover.Report{Requests: 3}
			if there.Send(m) != nil {
				return
			}
		}
	}()
	for range 10 {
		if r, err := p.Report(t.Context()); err != nil || r.Requests != 3 {
			t.Fatalf("report %+v, %v", r, err)
		}
	}
	p.Close()
	<-over
	if _, err := p.Report(t.Context()); err == nil {
		t.Error("a predecessor that was let go answers")
	}
}

// TestReportSilent has a predecessor that reads nothing. It is asked once,
// however often its report is asked for, and what it says late is for nobody.
func TestReportSilent(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 1)
	_, over := listen(p)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if _, err := p.Report(ended); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want the end of the context", err)
		}
	}
	asked := 0
	for {
		if _, _, err := there.TryReceive(); err != nil {
			break
		}
		asked++
	}
	if asked > 1 {
		t.Errorf("asked %d times", asked)
	}
	p.Close()
	<-over
}

// TestReportFull has a predecessor whose queue is full.
func TestReportFull(t *testing.T) {
	here, _ := pair(t)
	for {
		if err := here.TrySend(handover.Message{Type: handover.Retarget}); err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				t.Fatal(err)
			}
			break
		}
	}
	p := predecessor.New(here, os.Getpid(), 1)
	_, over := listen(p)
	if _, err := p.Report(t.Context()); !errors.Is(err, predecessor.ErrSilent) {
		t.Errorf("%v, want ErrSilent", err)
	}
	p.Close()
	<-over
}

// TestMeet reads what the predecessor wrote, and leaves what came after it.
func TestMeet(t *testing.T) {
	here, there := pair(t)
	first := handover.Message{Type: handover.Hello}
	first.Protocol, first.Generation, first.Count = handover.Protocol, 4, 2
	for _, m := range []handover.Message{first, {Type: handover.State}, {Type: "later"}, {Type: handover.State}, {Type: handover.Go}} {
		if err := there.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	states := 0
	p, m, err := predecessor.Meet(here, os.Getpid(), func(handover.Message, []int) { states++ })
	if err != nil || states != 2 || p.Generation != 4 || m.Generation != 4 {
		t.Fatalf("met %+v with %d states, %v", m, states, err)
	}
	delivered, over := listen(p)
	if d := <-delivered; d.Message.Type != handover.Go {
		t.Errorf("delivered %+v, want what came last", d)
	}
	p.Close()
	<-over
}

// TestMeetNobody has what cannot be a predecessor at the other end.
func TestMeetNobody(t *testing.T) {
	newer := handover.Message{Type: handover.Hello}
	newer.Protocol, newer.MinReader = handover.Protocol+1, handover.Protocol+1
	for name, test := range map[string]struct {
		send *handover.Message
		want error
	}{
		"it is gone":            {nil, io.EOF},
		"another message":       {&handover.Message{Type: handover.Go}, handover.ErrMalformed},
		"of a protocol to come": {&newer, handover.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := pair(t)
			if test.send != nil {
				if err := there.Send(*test.send, 0); err != nil { // with a descriptor that is of no use
					t.Fatal(err)
				}
			} else {
				_ = there.Close()
			}
			_, _, err := predecessor.Meet(here, 1, nil)
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if err := here.TrySend(handover.Message{Type: handover.Go}); err == nil {
				t.Error("the socket is open")
			}
		})
	}
}
