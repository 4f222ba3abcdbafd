package handover_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// TestWhole receives a message when there is no room for its descriptors, and
// again when there is. None is lost, and none is received twice.
func TestWhole(t *testing.T) {
	for name, receive := range map[string]func(*handover.Conn) (handover.Message, []int, error){
		"ReceiveWhole":    (*handover.Conn).ReceiveWhole,
		"TryReceiveWhole": (*handover.Conn).TryReceiveWhole,
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			for i := range 2 {
				if err := ours.Send(handover.Message{Type: handover.Connections, Count: i}, make([]int, 50)...); err != nil {
					t.Fatal(err)
				}
			}
			raise := lower(t, 20)
			for range 3 {
				m, fds, err := receive(theirs)
				if !errors.Is(err, handover.ErrTruncated) || m.Type != handover.Connections || m.Count != 0 || len(fds) != 0 {
					t.Fatalf("no room: %+v, %d descriptors, %v, want ErrTruncated", m, len(fds), err)
				}
			}
			raise()
			for i := range 2 {
				m, fds, err := receive(theirs)
				if err != nil || m.Count != i || len(fds) != 50 {
					t.Fatalf("room: %+v, %d descriptors, %v, want 50 of number %d", m, len(fds), err, i)
				}
				for _, fd := range fds {
					if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
						t.Errorf("descriptor %d is not close-on-exec (%v)", fd, err)
					}
				}
				fdutil.CloseAll(fds)
			}
			if _, _, err := theirs.TryReceiveWhole(); !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("an empty queue: %v, want EAGAIN", err)
			}
			_ = theirs.SetReadDeadline(time.Unix(1, 0))
			if name == "ReceiveWhole" {
				if _, _, err := receive(theirs); err == nil {
					t.Error("a deadline in the past does not end ReceiveWhole")
				}
			}
		})
	}
}

// lower leaves room for spare descriptors more than are open, until raise.
func lower(t *testing.T, spare int) (raise func()) {
	t.Helper()
	highest, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(highest)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	raise = func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
	t.Cleanup(raise)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(highest + spare), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return raise
}
