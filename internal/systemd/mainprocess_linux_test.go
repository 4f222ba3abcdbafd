package systemd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// TestBusyManager has a manager keep silent when it is asked first, and a second
// time in the middle of an answer.
func TestBusyManager(t *testing.T) {
	leakcheck.Check(t)
	var asked atomic.Int32
	peer(t, "systemd/private", func(c net.Conn) {
		switch asked.Add(1) {
		case 1:
		case 2:
			say(c, ok)
		default:
			serve(c, map[string]any{"MainPID": uint32(7), "NotifyAccess": "main"})
			return
		}
		_, _ = io.Copy(io.Discard, c) // until it is given up
	})
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	main, err := systemd.AskMainProcess(ctx)
	if err != nil || main != (systemd.MainProcess{PID: 7, Access: "main"}) {
		t.Errorf("%+v, %v", main, err)
	}
	if n := asked.Load(); n < 3 {
		t.Errorf("asked %d times", n)
	}
}

// TestManagerRefuses has a manager that answers, though not what it was asked:
// it is not asked again.
func TestManagerRefuses(t *testing.T) {
	leakcheck.Check(t)
	var asked atomic.Int32
	peer(t, "systemd/private", func(c net.Conn) {
		asked.Add(1)
		serve(c, nil)
	})
	if _, err := systemd.AskMainProcess(t.Context()); !errors.Is(err, systemd.ErrUnanswered) || asked.Load() != 1 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
}

// TestSilentForEver has a manager that never answers. The wait ends with ctx.
func TestSilentForEver(t *testing.T) {
	leakcheck.Check(t)
	peer(t, "systemd/private", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel) // once it has been asked again, or sooner
	if _, err := systemd.AskMainProcess(ctx); !errors.Is(err, systemd.ErrUnanswered) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want ErrUnanswered and context.Canceled", err)
	}
}
