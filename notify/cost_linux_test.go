package notify_test

import (
	"os"
	"testing"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

func TestNotifyAllocatesNothing(t *testing.T) {
	leakcheck.Check(t)
	r, n := pair(t)
	buffer := make([]byte, 4096)
	pid := os.Getpid()
	allocs := testing.AllocsPerRun(200, func() {
		if err := n.Notify(notify.Ready(), notify.Status("serving"), notify.MainPID(pid)); err != nil {
			t.Error(err)
		}
		if _, err := unix.Read(r.fd, buffer); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

// BenchmarkNotify sends READY, STATUS and MAINPID to a receiver that reads each
// message at once.
func BenchmarkNotify(b *testing.B) {
	path := socketPath(b)
	r := receive(b, path)
	buffer := make([]byte, 4096)
	measure := func(b *testing.B, send func() error) {
		b.ReportAllocs()
		for b.Loop() {
			if err := send(); err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Read(r.fd, buffer); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("heirloom", func(b *testing.B) {
		n, err := notify.Dial(path)
		if err != nil {
			b.Fatal(err)
		}
		defer n.Close()
		measure(b, func() error {
			return n.Notify(notify.Ready(), notify.Status("serving"), notify.MainPID(4711))
		})
	})
	b.Run("go-systemd", func(b *testing.B) {
		b.Setenv("NOTIFY_SOCKET", path)
		measure(b, func() error {
			_, err := daemon.SdNotify(false, "READY=1\nSTATUS=serving\nMAINPID=4711")
			return err
		})
	})
}
