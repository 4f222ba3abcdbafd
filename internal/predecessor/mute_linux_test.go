package predecessor_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/rig/failing"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// TestListenMute cannot acknowledge the connections of the first of two
// messages. It must not acknowledge those of the second: the predecessor would
// take that for the first.
func TestListenMute(t *testing.T) {
	here, there := pair(t)
	p := predecessor.New(here, os.Getpid(), 1)
	for range 2 {
		if err := there.Send(handover.Message{Type: handover.Connections}, 0); err != nil {
			t.Fatal(err)
		}
	}
	delivered, over := make(chan predecessor.Delivery, 1), make(chan struct{})
	go func() {
		defer close(over)
		if err := failing.Call(unix.SYS_SENDMSG, unix.EIO); err != nil {
			t.Error(err)
		}
		p.Listen(transfer.NewReceiver(nil, hclog.NewNullLogger()), func(d predecessor.Delivery, released <-chan struct{}) bool {
			delivered <- d
			return true
		})
	}()
	if err := there.Send(handover.Message{Type: handover.Cut}); err != nil {
		t.Fatal(err)
	}
	d := <-delivered
	if d.Err == nil || errors.Is(d.Err, io.EOF) || len(d.Descriptors) > 0 {
		t.Errorf("delivered %+v, want an error", d)
	}
	p.Close()
	<-over
	if m, _, err := there.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("the predecessor was told %+v, %v, want the end", m, err)
	}
}
