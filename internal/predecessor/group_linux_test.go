package predecessor_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestGroup keeps older generations in order, speaks to all of them, and passes
// them on.
func TestGroup(t *testing.T) {
	var g predecessor.Group
	theirs := map[int]*handover.Conn{}
	for _, generation := range []int{4, 2, 3} {
		here, there := pair(t)
		p := predecessor.New(here, os.Getpid(), generation)
		listen(p)
		g.Add(p)
		theirs[generation] = there
	}
	all := g.NewestFirst()
	if g.Len() != 3 || all[0].Generation != 4 || all[2].Generation != 2 || g.Oldest() != all[2] {
		t.Fatalf("the newest first: %+v", all)
	}
	all[1].Close()
	g.Remove(all[1])
	g.Post(handover.Message{Type: handover.Stop})
	for _, generation := range []int{2, 4} {
		if m, _, err := theirs[generation].Receive(); err != nil || m.Type != handover.Stop {
			t.Errorf("generation %d was told %+v, %v", generation, m, err)
		}
	}
	ours, successor := pair(t)
	box := handover.NewOutbox(ours)
	g.Give(box, hclog.NewNullLogger())
	for _, generation := range []int{4, 2} {
		m, fds, err := successor.Receive()
		if err != nil || m.Generation != generation || len(fds) != 1 {
			t.Fatalf("the successor was given %+v, %v", m, err)
		}
		next, err := handover.FromDescriptor(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		_ = next.Close()
	}
	if g.Len() != 0 {
		t.Errorf("%d are left", g.Len())
	}
	g.Close()
	box.Close(0)
}

// TestAsk leaves out one that ends, and says of one that does not answer that
// it did not.
func TestAsk(t *testing.T) {
	var all []*predecessor.Predecessor
	var theirs []*handover.Conn
	for i := range 3 {
		here, there := pair(t)
		p := predecessor.New(here, os.Getpid(), i+1)
		defer p.Close()
		delivered, over := listen(p)
		go func() {
			for {
				select {
				case <-delivered:
				case <-over:
					return
				}
			}
		}()
		all, theirs = append(all, p), append(theirs, there)
	}
	_ = theirs[0].Close()
	go func() {
		if m, _, err := theirs[1].Receive(); err == nil && m.Type == handover.Status {
			_ = theirs[1].Send(handover.Message{Type: handover.Draining, Report: &handover.Report{Requests: 7}})
		}
	}()
	accounts := predecessor.Ask(context.Background(), all)
	const late = "it did not answer in time" // also if this machine took half a second
	ended, answered, silent := true, false, false
	for _, a := range accounts {
		switch a.Generation {
		case 1:
			ended = a.Missing == late
		case 2:
			answered = a.Requests == 7 && a.Missing == "" || a.Missing == late
		case 3:
			silent = a.Missing == late && a.PID == os.Getpid()
		}
	}
	if !ended || !answered || !silent {
		t.Errorf("got %+v", accounts)
	}
	if !patience.Until(30*time.Second, func() bool { return len(predecessor.Ask(context.Background(), all[:1])) == 0 }) {
		t.Error("one that has ended is never left out")
	}
}
