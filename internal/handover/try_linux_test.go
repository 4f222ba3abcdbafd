package handover_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"golang.org/x/sys/unix"
)

// fill sends numbered messages, with a descriptor each, until the queue takes
// no more, and returns how many it took.
func fill(t *testing.T, conn *handover.Conn) int {
	t.Helper()
	for n := 0; ; n++ {
		switch err := conn.TrySend(handover.Message{Type: handover.Connections, Count: n}, 0); {
		case errors.Is(err, syscall.EAGAIN):
			return n
		case err != nil:
			t.Fatal(err)
		}
	}
}

// expect receives a message by receive, and checks its number and how many
// descriptors came with it.
func expect(t *testing.T, receive func() (handover.Message, []int, error), number, descriptors int) {
	t.Helper()
	m, fds, err := receive()
	fdutil.CloseAll(fds)
	if err != nil || m.Count != number || len(fds) != descriptors {
		t.Fatalf("received %+v, %d descriptors, %v, want number %d with %d", m, len(fds), err, number, descriptors)
	}
}

// TestFullQueue checks that what finds the queue full leaves no trace, and that
// there is room again when one was read.
func TestFullQueue(t *testing.T) {
	ours, theirs := pair(t)
	n := fill(t, ours)
	if n < 100 {
		t.Errorf("the queue was full after %d messages", n)
	}
	refused := []handover.Message{
		{Type: handover.Connections, Count: -1},
		{Type: handover.State, Count: -1, Payload: handover.Payload{States: [][]byte{bytesOf(1<<20, 0)}}},
	}
	for _, m := range refused {
		before, canary := len(openFiles(t)), pipe(t)
		defer canary.close()
		if err := ours.TrySend(m, canary.w, canary.w); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("sent a %s with %v, want EAGAIN", m.Type, err)
		}
		canary.release()
		if canary.held() {
			t.Errorf("somebody holds the descriptors of the %s that was not sent", m.Type)
		}
		if after := len(openFiles(t)); after != before+1 {
			t.Errorf("%d descriptors are open after the %s, before it were %d", after, m.Type, before)
		}
	}
	expect(t, theirs.TryReceive, 0, 1)
	if err := ours.TrySend(handover.Message{Type: handover.Connections, Count: n}, 0); err != nil {
		t.Errorf("sent with %v after a read", err)
	}
	for i := 1; i <= n; i++ {
		expect(t, theirs.TryReceive, i, 1)
	}
	if _, _, err := theirs.TryReceive(); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("received with %v, want EAGAIN", err)
	}
}

// TestTrySendBesideSend checks that TrySend does not wait for a Send that
// waits.
func TestTrySendBesideSend(t *testing.T) {
	ours, theirs := pair(t)
	n := fill(t, ours)
	sent := make(chan error, 1)
	go func() { sent <- ours.Send(handover.Message{Type: handover.Connections, Count: n}, 0) }()
	waitForCall(t, "[IO wait", "handover.(*Conn).Send")
	tried := make(chan error, 1)
	go func() { tried <- ours.TrySend(handover.Message{Type: handover.Go}) }()
	select {
	case err := <-tried:
		if !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("sent with %v, want EAGAIN", err)
		}
	case <-time.After(patience.Of(30 * time.Second)):
		t.Error("TrySend waits for Send")
		defer func() { <-tried }()
	}
	for i := range n + 1 {
		expect(t, theirs.Receive, i, 1)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// waitForCall returns once the stack of another goroutine has all of parts in
// it.
func waitForCall(t *testing.T, parts ...string) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for end := patience.Deadline(30 * time.Second); time.Now().Before(end); {
		all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
		for _, stack := range all[1:] { // the first is ours
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(stack, part) }) {
				return
			}
		}
		runtime.Gosched()
	}
	t.Errorf("no goroutine was seen in %q", parts)
}

// TestQueueOutlivesItsWriter checks that all that was queued comes, then
// io.EOF, whoever asks and how often.
func TestQueueOutlivesItsWriter(t *testing.T) {
	tests := map[string]func(*handover.Conn) (handover.Message, []int, error){
		"Receive":    (*handover.Conn).Receive,
		"TryReceive": (*handover.Conn).TryReceive,
	}
	for name, receive := range tests {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			n := fill(t, ours)
			_ = ours.Close()
			next := func() (handover.Message, []int, error) { return receive(theirs) }
			for i := range n {
				expect(t, next, i, 1)
			}
			for range 3 {
				if m, fds, err := next(); !errors.Is(err, io.EOF) || len(fds) != 0 {
					t.Errorf("received %+v, %v, %v, want io.EOF", m, fds, err)
				}
			}
		})
	}
}

// TestTryReceiveLastWords is TestLastWords for TryReceive.
func TestTryReceiveLastWords(t *testing.T) {
	ours, theirs := pair(t)
	if err := errors.Join(ours.Send(handover.Message{Type: handover.Go}), theirs.TrySend(handover.Message{Count: 1}, 0)); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close() // with Go unread
	expect(t, ours.TryReceive, 1, 1)
	if _, _, err := ours.TryReceive(); !errors.Is(err, io.EOF) {
		t.Errorf("received with %v, want io.EOF", err)
	}
}

func TestTryReceiveEmpty(t *testing.T) {
	ours, theirs := pair(t)
	_ = theirs.SetReadDeadline(time.Unix(1, 0)) // is Receive's alone
	_ = ours.SetWriteDeadline(time.Unix(1, 0))
	for i := range 3 {
		if m, fds, err := theirs.TryReceive(); !errors.Is(err, syscall.EAGAIN) || len(fds) != 0 {
			t.Errorf("received %+v, %v, %v, want EAGAIN", m, fds, err)
		}
		if err := ours.TrySend(handover.Message{Type: handover.Connections, Count: i}, 0, 0); err != nil {
			t.Fatal(err)
		}
		expect(t, theirs.TryReceive, i, 2)
	}
}

// TestNobodyReads checks that it is EPIPE from the first message on, also when
// there is what the other side has not read, and that the descriptors go
// nowhere.
func TestNobodyReads(t *testing.T) {
	sends := map[string]func(*handover.Conn, handover.Message, ...int) error{
		"Send":    (*handover.Conn).Send,
		"TrySend": (*handover.Conn).TrySend,
	}
	for name, send := range sends {
		for _, unread := range []int{0, 2} {
			t.Run(fmt.Sprint(name, " with ", unread, " unread"), func(t *testing.T) {
				ours, theirs := pair(t)
				queued, refused := pipe(t), pipe(t)
				defer queued.close()
				defer refused.close()
				for range unread {
					if err := send(ours, handover.Message{Type: handover.Connections}, queued.w); err != nil {
						t.Fatal(err)
					}
				}
				if !ours.HasReader(0) {
					t.Error("nobody reads while the other end is open")
				}
				_ = theirs.Close()
				if ours.HasReader(0) {
					t.Error("somebody reads when the other end is closed")
				}
				for range 3 {
					if err := send(ours, handover.Message{Type: handover.Go}, refused.w); !errors.Is(err, syscall.EPIPE) {
						t.Errorf("sent with %v, want EPIPE", err)
					}
				}
				queued.release()
				refused.release()
				if queued.held() || refused.held() {
					t.Error("somebody holds the descriptors of messages that nobody can read")
				}
			})
		}
	}
}

// TestHasReader follows the other end: whoever holds it, be it a queue, can
// read.
func TestHasReader(t *testing.T) {
	store, reader := pair(t)
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := store.TrySend(handover.Message{Type: handover.Predecessor}, end); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(end)
	if !ours.HasReader(0) {
		t.Error("nobody reads while the other end waits in a queue")
	}
	_, fds, err := reader.TryReceive()
	if err != nil || !ours.HasReader(0) {
		t.Errorf("nobody reads when the other end has arrived (%v)", err)
	}
	fdutil.CloseAll(fds)
	if ours.HasReader(0) {
		t.Error("somebody reads when all have closed the other end")
	}
	_ = ours.Close()
	if ours.HasReader(0) {
		t.Error("somebody reads of a socket that is closed")
	}
}

// TestPatience waits for a reader that goes, and for one that stays.
func TestPatience(t *testing.T) {
	ours, theirs := pair(t)
	const while = 20 * time.Millisecond
	begin := time.Now()
	if !ours.HasReader(while) {
		t.Error("nobody reads while the other end is open")
	}
	if took := time.Since(begin); took < while {
		t.Errorf("was told after %v that somebody reads, want %v", took, while)
	}
	begin = time.Now()
	asked := make(chan bool, 1)
	go func() { asked <- ours.HasReader(time.Hour) }()
	waitForCall(t, "unix.Poll(")
	_ = theirs.Close()
	if <-asked {
		t.Error("somebody reads when the other end is closed")
	}
	if took := time.Since(begin); took > 30*time.Minute {
		t.Errorf("was told after %v that nobody reads", took)
	}
}

// TestHasReaderInterrupted asks in a thread that signals rain on, as the
// runtime's do to preempt goroutines: poll(2) is never restarted after one. It
// asks just after a poll(2) was interrupted, and waits for long enough to be
// interrupted as well.
func TestHasReaderInterrupted(t *testing.T) {
	ours, end := rawPair(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var done atomic.Bool
	stopped := make(chan struct{})
	go func(pid, tid int) {
		defer close(stopped)
		for !done.Load() {
			_ = unix.Tgkill(pid, tid, unix.SIGURG)
		}
	}(os.Getpid(), unix.Gettid())
	wrong := 0
	for range 30 {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(end)}}, -1); !errors.Is(err, syscall.EINTR) {
			t.Errorf("nothing to read, and poll(2) ended with %v", err)
		}
		for _, while := range []time.Duration{0, 20 * time.Millisecond} {
			if !ours.HasReader(while) {
				wrong++
			}
		}
	}
	done.Store(true)
	<-stopped
	if wrong > 0 {
		t.Errorf("%d times nobody was said to read", wrong)
	}
}

func TestAfterClose(t *testing.T) {
	ours, _ := pair(t)
	_ = ours.Close()
	sendErr := ours.TrySend(handover.Message{Type: handover.Go}, 0)
	_, _, receiveErr := ours.TryReceive()
	peekErr := ours.Peek(func(m handover.Message, _ []int) { t.Errorf("peeked at %+v", m) })
	for call, err := range map[string]error{"TrySend": sendErr, "TryReceive": receiveErr, "Peek": peekErr} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want net.ErrClosed", call, err)
		}
	}
}

// TestEmptyPacket receives a packet of no bytes, which reads like an
// end-of-file. Its descriptors must not leak.
func TestEmptyPacket(t *testing.T) {
	tests := map[string]func(*handover.Conn) (handover.Message, []int, error){
		"Receive":    (*handover.Conn).Receive,
		"TryReceive": (*handover.Conn).TryReceive,
	}
	for name, receive := range tests {
		t.Run(name, func(t *testing.T) {
			conn, fd := rawPair(t)
			canary := pipe(t)
			defer canary.close()
			sendEmpty(t, fd, canary.w, canary.w)
			canary.release()
			if m, fds, err := receive(conn); !errors.Is(err, io.EOF) || len(fds) != 0 {
				t.Errorf("received %+v, %v, %v, want io.EOF", m, fds, err)
			}
			if canary.held() {
				t.Error("somebody holds its descriptors")
			}
		})
	}
}

// sendEmpty sends a packet of no bytes, to which unix.Sendmsg would add one.
func sendEmpty(t *testing.T, fd int, descriptors ...int) {
	t.Helper()
	oob := unix.UnixRights(descriptors...)
	header := unix.Msghdr{Control: &oob[0]}
	header.SetControllen(len(oob))
	if _, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&header)), 0); errno != 0 {
		t.Fatal(errno)
	}
}
