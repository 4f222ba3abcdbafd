package handover_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestOutbox posts to a process that does not read, and which then does.
func TestOutbox(t *testing.T) {
	ours, theirs := pair(t)
	given, other := pair(t)
	box := handover.NewOutbox(ours)
	posted := 0
	for box.Post(handover.Message{Type: handover.Retarget, Process: handover.Process{Generation: posted}}) == nil {
		posted++
		if posted > 10000 {
			t.Fatal("an outbox holds any number of messages")
		}
	}
	for i := range posted {
		if m := next(t, theirs); m.Generation != i {
			t.Fatalf("received number %d, want %d", m.Generation, i)
		}
	}
	if err := box.Give(handover.Message{Type: handover.Predecessor}, given); err != nil {
		t.Fatal(err)
	}
	_ = theirs.SetReadDeadline(patience.Deadline(time.Minute))
	_, fds, err := theirs.Receive()
	if err != nil || len(fds) != 1 {
		t.Fatalf("received %d descriptors, %v, want the socket", len(fds), err)
	}
	_ = unix.Close(fds[0])
	checkEnds(t, other)
	box.Close(0)
}

// TestOutboxEnd gives a socket to a process that never reads, and lets go.
func TestOutboxEnd(t *testing.T) {
	ours, _ := pair(t)
	given, other := pair(t)
	box := handover.NewOutbox(ours)
	for range 1000 {
		_ = box.Post(handover.Message{Type: handover.Retarget})
	}
	if err := box.Give(handover.Message{Type: handover.Predecessor}, given); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("a full outbox: %v, want EAGAIN", err)
	}
	checkEnds(t, other)
	box.Close(0)
	if err := box.Post(handover.Message{Type: handover.Retarget}); err == nil {
		t.Error("a closed outbox takes messages")
	}
}

func next(t *testing.T, conn *handover.Conn) handover.Message {
	t.Helper()
	_ = conn.SetReadDeadline(patience.Deadline(time.Minute))
	m, _, err := conn.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// checkEnds checks that nobody has the other end of conn.
func checkEnds(t *testing.T, conn *handover.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(patience.Deadline(time.Minute))
	if _, _, err := conn.Receive(); err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Errorf("received from a socket that was given away: %v", err)
	} else if strings.Contains(err.Error(), "timeout") {
		t.Errorf("somebody still has the socket: %v", err)
	}
}
