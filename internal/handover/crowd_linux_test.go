package handover_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// TestTooManyInFlight sends, as a user without privileges, more descriptors
// than the process may have open: the kernel then refuses to hold them in a
// queue (unix(7), ETOOMANYREFS).
func TestTooManyInFlight(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=crowd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// crowdLimit is RLIMIT_NOFILE of the role crowd, and crowdSize the descriptors
// of each of its messages.
const (
	crowdLimit = 64
	crowdSize  = 40
)

func crowd() error {
	if err := renounce(); err != nil {
		return err
	}
	ours, end, err := handover.Pair()
	if err != nil {
		return err
	}
	theirs, err := handover.FromDescriptor(end)
	if err != nil {
		return err
	}
	sent := 0
	for sent < 10 && err == nil {
		if err = ours.TrySend(handover.Message{Type: handover.Connections, Count: sent}, make([]int, crowdSize)...); err == nil {
			sent++
		}
	}
	if !errors.Is(err, syscall.ETOOMANYREFS) {
		return fmt.Errorf("sent %d messages, then %w, want ETOOMANYREFS", sent, err)
	}
	if err := refused(ours); err != nil {
		return err
	}
	for i := range sent {
		m, fds, err := theirs.TryReceive()
		fdutil.CloseAll(fds)
		if err != nil || m.Count != i || len(fds) != crowdSize {
			return fmt.Errorf("received %+v, %d descriptors, %w, want number %d", m, len(fds), err, i)
		}
	}
	if m, fds, err := theirs.TryReceive(); err != nil || m.Type != handover.Go || len(fds) != 0 {
		return fmt.Errorf("received %+v, %d descriptors, %w, want the message without any", m, len(fds), err)
	}
	if m, _, err := theirs.TryReceive(); !errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("received %+v, %w, want nothing of what was refused", m, err)
	}
	return ours.TrySend(handover.Message{Type: handover.Connections}, make([]int, crowdSize)...) // now there is room
}

// renounce gives up what lets root have any number of descriptors in flight,
// CAP_SYS_RESOURCE and CAP_SYS_ADMIN.
func renounce() error {
	limit := unix.Rlimit{Cur: crowdLimit, Max: crowdLimit}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}

// refused checks that messages refused leave nothing behind, with states in a
// memfd and without, and whoever sends them.
func refused(conn *handover.Conn) error {
	large := handover.Message{Type: handover.State, Payload: handover.Payload{States: [][]byte{bytesOf(1<<20, 0)}}}
	sends := map[string]func() error{
		"Send":             func() error { return conn.Send(handover.Message{Type: handover.Go}, 0) },
		"TrySend":          func() error { return conn.TrySend(handover.Message{Type: handover.Go}, 0) },
		"Send, a memfd":    func() error { return conn.Send(large) },
		"TrySend, a memfd": func() error { return conn.TrySend(large, 0) },
	}
	for name, send := range sends {
		before := openCount()
		if err := send(); !errors.Is(err, syscall.ETOOMANYREFS) {
			return fmt.Errorf("%s: %w, want ETOOMANYREFS", name, err)
		}
		if after := openCount(); after != before {
			return fmt.Errorf("%s: %d descriptors are open, before it were %d", name, after, before)
		}
	}
	if err := conn.TrySend(handover.Message{Type: handover.Go}); err != nil {
		return fmt.Errorf("a message without descriptors: %w", err)
	}
	return nil
}

// openCount counts without /proc, which is root's for a process that changed
// its user.
func openCount() (n int) {
	for fd := range uintptr(crowdLimit) {
		if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}
