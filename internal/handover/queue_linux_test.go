package handover_test

import (
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"golang.org/x/sys/unix"
)

// TestQueueOf10000 lets a queue alone hold 40 messages of 250 TCP sockets each,
// which the kernel knows by their cookies.
func TestQueueOf10000(t *testing.T) {
	ours, theirs := pair(t)
	const messages = 40
	var cookies []uint64
	for i := range messages {
		sockets := tcpSockets(t, handover.MaxDescriptors)
		cookies = append(cookies, cookiesOf(t, sockets)...)
		err := ours.TrySend(handover.Message{Type: handover.Connections, Batch: handover.Batch{Listener: "http", Address: "127.0.0.1:80"}, Count: i}, sockets...)
		fdutil.CloseAll(sockets)
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
		if !slices.Equal(got, want) {
			t.Errorf("message %d: sockets %v, want %v", i, got, want)
		}
		cookies = cookies[handover.MaxDescriptors:]
		fdutil.CloseAll(sockets)
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
