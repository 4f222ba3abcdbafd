package handover_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// fill sends numbered messages, with a descriptor each, until the queue takes no more, and returns how many it took.
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

// expect receives a message by receive, and checks its number and how many descriptors came with it.
func expect(t *testing.T, receive func() (handover.Message, []int, error), number, descriptors int) {
	t.Helper()
	m, fds, err := receive()
	closeAll(fds)
	if err != nil || m.Count != number || len(fds) != descriptors {
		t.Fatalf("received %+v, %d descriptors, %v, want number %d with %d", m, len(fds), err, number, descriptors)
	}
}

// TestFullQueue checks that what finds the queue full leaves no trace, and that there is room again when one was read.
func TestFullQueue(t *testing.T) {
	ours, theirs := pair(t)
	n := fill(t, ours)
	if n < 100 {
		t.Errorf("the queue was full after %d messages", n)
	}
	refused := []handover.Message{
		{Type: handover.Connections, Count: -1},
		{Type: handover.State, Count: -1, States: [][]byte{bytesOf(1<<20, 0)}},
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

// TestTrySendBesideSend checks that TrySend does not wait for a Send that waits.
func TestTrySendBesideSend(t *testing.T) {
	ours, theirs := pair(t)
	n := fill(t, ours)
	sent := make(chan error, 1)
	go func() { sent <- ours.Send(handover.Message{Type: handover.Connections, Count: n}, 0) }()
	waitForIO("handover.(*Conn).Send")
	tried := make(chan error, 1)
	go func() { tried <- ours.TrySend(handover.Message{Type: handover.Go}) }()
	select {
	case err := <-tried:
		if !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("sent with %v, want EAGAIN", err)
		}
	case <-time.After(10 * time.Second):
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

// waitForIO returns once a goroutine waits for the network in function.
func waitForIO(function string) {
	stacks := make([]byte, 1<<20)
	for {
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "[IO wait") && strings.Contains(stack, function) {
				return
			}
		}
		runtime.Gosched()
	}
}

// TestQueueOutlivesItsWriter checks that all that was queued comes, then io.EOF, whoever asks and how often.
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

// TestNobodyReads checks that it is EPIPE from the first message on, also when there is what the other side has not read,
// and that the descriptors go nowhere.
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

// TestHasReader follows the other end: whoever holds it, be it a queue, can read.
func TestHasReader(t *testing.T) {
	store, reader := pair(t)
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := store.TrySend(handover.Message{Type: handover.Adopt}, end); err != nil {
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
	closeAll(fds)
	if ours.HasReader(0) {
		t.Error("somebody reads when all have closed the other end")
	}
	_ = ours.Close()
	if ours.HasReader(0) {
		t.Error("somebody reads of a socket that is closed")
	}
}

// TestHasReaderInterrupted asks in a thread that signals rain on, as the runtime's do to preempt goroutines: poll(2) is
// never restarted after one.
func TestHasReaderInterrupted(t *testing.T) {
	ours, _ := pair(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stopped := make(chan struct{})
	go func(pid, tid int) {
		defer close(stopped)
		for range 100_000 {
			_ = unix.Tgkill(pid, tid, unix.SIGURG)
		}
	}(os.Getpid(), unix.Gettid())
	asked, wrong := 0, 0
	for {
		if asked++; !ours.HasReader(0) {
			wrong++
		}
		select {
		case <-stopped:
			if wrong > 0 {
				t.Errorf("%d times of %d nobody was said to read", wrong, asked)
			}
			return
		default:
		}
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

// TestQueueOf10000 lets a queue alone hold 40 messages of 250 TCP sockets each, which the kernel knows by their cookies.
func TestQueueOf10000(t *testing.T) {
	ours, theirs := pair(t)
	const messages = 40
	var cookies []uint64
	for i := range messages {
		sockets := tcpSockets(t, handover.MaxDescriptors)
		cookies = append(cookies, cookiesOf(t, sockets)...)
		err := ours.TrySend(handover.Message{Type: handover.Connections, Listener: "http", Address: "127.0.0.1:80", Count: i}, sockets...)
		closeAll(sockets)
		if errors.Is(err, syscall.ETOOMANYREFS) {
			t.Skipf("%d sockets in flight are too many: RLIMIT_NOFILE is too low, without CAP_SYS_RESOURCE", len(cookies))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = ours.Close()
	for i := range messages {
		m, sockets, err := theirs.TryReceive()
		if err != nil || m.Count != i || m.Listener != "http" {
			t.Fatalf("received %+v, %v, want number %d", m, err, i)
		}
		got, want := cookiesOf(t, sockets), cookies[:handover.MaxDescriptors]
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("message %d: sockets %v, want %v", i, got, want)
		}
		cookies = cookies[handover.MaxDescriptors:]
		closeAll(sockets)
	}
	if _, _, err := theirs.TryReceive(); !errors.Is(err, io.EOF) {
		t.Errorf("received with %v, want io.EOF", err)
	}
}

func tcpSockets(t *testing.T, n int) []int {
	t.Helper()
	sockets := make([]int, n)
	for i := range sockets {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		sockets[i] = fd
	}
	return sockets
}

func cookiesOf(t *testing.T, sockets []int) []uint64 {
	t.Helper()
	cookies := make([]uint64, len(sockets))
	for i, fd := range sockets {
		var err error
		if cookies[i], err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil {
			t.Fatal(err)
		}
	}
	return cookies
}
