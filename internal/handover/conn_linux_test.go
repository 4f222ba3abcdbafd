package handover_test

import (
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// pair returns both ends of a handover socket.
func pair(t *testing.T) (ours, theirs *handover.Conn) {
	t.Helper()
	leakcheck.Check(t)
	ours, fd, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = handover.FromDescriptor(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return ours, theirs
}

func TestRoundTrip(t *testing.T) {
	ours, theirs := pair(t)
	sent := handover.Message{
		Type:    handover.Hello,
		Process: handover.Process{Protocol: handover.Protocol, PID: 7, Generation: 3},
		Bound:   []handover.Bound{{Name: "http", Network: "tcp", Address: ":80"}},
		Moving:  handover.Moving{Listeners: []string{"a", "b"}},
		Batch:   handover.Batch{Listener: "a", Address: "127.0.0.1:80"},
		Count:   9,
		Left:    time.Second,
		Reason:  "because",
		Report:  &handover.Report{Since: time.Unix(1, 0).UTC(), Connections: map[string]int{"idle": 1}, Requests: 2},
		Outcome: &handover.Outcome{At: time.Unix(2, 0).UTC(), Duration: 5, Reason: "r", Generation: 4, PID: 8},
	}
	if err := ours.Send(sent); err != nil {
		t.Fatal(err)
	}
	got, fds, err := theirs.Receive()
	if err != nil || len(fds) != 0 || !reflect.DeepEqual(got, sent) {
		t.Errorf("received %+v, %v, %v, want %+v", got, fds, err, sent)
	}
}

// TestDescriptors sends as many descriptors as a message may have, and checks
// that they are the ones, in order, and that they are not passed on by exec.
func TestDescriptors(t *testing.T) {
	ours, theirs := pair(t)
	var fds []int
	for range handover.MaxDescriptors {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		defer r.Close()
		fds = append(fds, int(r.Fd()))
	}
	if err := ours.Send(handover.Message{Type: handover.Connections}, fds...); err != nil {
		t.Fatal(err)
	}
	_, got, err := theirs.Receive()
	if err != nil || len(got) != len(fds) {
		t.Fatalf("received %d descriptors, %v, want %d", len(got), err, len(fds))
	}
	for i, fd := range got {
		var want, have unix.Stat_t
		if err := errors.Join(unix.Fstat(fds[i], &want), unix.Fstat(fd, &have)); err != nil || want.Ino != have.Ino {
			t.Errorf("descriptor %d is another (%v)", i, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d is not close-on-exec (%v)", i, err)
		}
		_ = unix.Close(fd)
	}
}

// TestLastWords checks that what a process said before it died is received,
// also when it had not read all that it was told.
func TestLastWords(t *testing.T) {
	ours, theirs := pair(t)
	if err := ours.Send(handover.Message{Type: handover.Go}); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Send(handover.Message{Type: handover.Failed, Reason: "last words"}); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close() // with Go unread
	if m, _, err := ours.Receive(); err != nil || m.Reason != "last words" {
		t.Errorf("received %+v, %v, want the last words", m, err)
	}
	for range 2 {
		if m, _, err := ours.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("received %+v, %v, want io.EOF", m, err)
		}
	}
	if err := ours.Send(handover.Message{Type: handover.Go}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("sent with %v, want EPIPE", err)
	}
}

func TestDeadlineLosesNothing(t *testing.T) {
	ours, theirs := pair(t)
	_ = theirs.SetReadDeadline(time.Unix(1, 0))
	if err := ours.Send(handover.Message{Type: handover.Go}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := theirs.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("received with %v, want a timeout", err)
	}
	_ = theirs.SetReadDeadline(time.Time{})
	if m, _, err := theirs.Receive(); err != nil || m.Type != handover.Go {
		t.Errorf("received %+v, %v, want what was sent meanwhile", m, err)
	}
}

func TestLongReasonIsCut(t *testing.T) {
	ours, theirs := pair(t)
	if err := ours.Send(handover.Message{Type: handover.Failed, Reason: strings.Repeat("x", 1<<20)}); err != nil {
		t.Fatal(err)
	}
	m, _, err := theirs.Receive()
	if err != nil || !strings.HasSuffix(m.Reason, "xxx...") {
		t.Errorf("received a reason of %d bytes, %v, want a shorter one", len(m.Reason), err)
	}
}

// TestMalformed sends what is no message, with a descriptor that must not leak.
func TestMalformed(t *testing.T) {
	for _, packet := range []string{"x", "{", "[]", `"go"`, "{}{}", `{"type":1}`, `{"left":"long"}`, "\x00"} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := handover.FromDescriptor(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		if err := unix.Sendmsg(fds[1], []byte(packet), unix.UnixRights(0), nil, 0); err != nil {
			t.Fatal(err)
		}
		if m, got, err := conn.Receive(); !errors.Is(err, handover.ErrMalformed) || len(got) != 0 {
			t.Errorf("%q: received %+v, %v, %v, want ErrMalformed", packet, m, got, err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%q: %d descriptors are open, before it were %d", packet, after, before)
		}
		_ = conn.Close()
		_ = unix.Close(fds[1])
	}
}

// TestTruncated receives more descriptors than the process may have open: it is
// told so, and gets those that fitted.
func TestTruncated(t *testing.T) {
	ours, theirs := pair(t)
	if err := ours.Send(handover.Message{Type: handover.Connections}, 0, 1, 2, 0, 1, 2, 0, 1); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(lowestFree(t) + 3)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	m, fds, err := theirs.Receive()
	if restoreErr := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restoreErr != nil {
		t.Fatal(restoreErr)
	}
	if !errors.Is(err, handover.ErrTruncated) || m.Type != handover.Connections || len(fds) == 0 || len(fds) >= 8 {
		t.Errorf("received %+v, %d descriptors, %v, want some, and ErrTruncated", m, len(fds), err)
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// TestNetConn checks that connections taken from a message work, also when the
// Mould that made them is gone, and that the sender's stay non-blocking.
func TestNetConn(t *testing.T) {
	mould := handover.NewMould()
	var conns []net.Conn
	var clients []int
	for i, take := range []func(fd int) (net.Conn, error){handover.NetConn, mould.NetConn, mould.NetConn, new(handover.Mould).NetConn} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[1])
		kept, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(kept)
		conn, err := take(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, ok := conn.(*net.UnixConn); !ok {
			t.Errorf("%d is a %T", i, conn)
		}
		if flags, err := unix.FcntlInt(uintptr(kept), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%d: O_NONBLOCK is gone (%v)", i, err)
		}
		conns, clients = append(conns, conn), append(clients, fds[1])
	}
	mould.Close()
	for i, conn := range conns {
		if _, err := unix.Write(clients[i], []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 1)
		if _, err := conn.Read(got); err != nil || got[0] != byte(i) {
			t.Errorf("%d reads %v, %v", i, got, err)
		}
	}
}

func TestNoSocket(t *testing.T) {
	before := descriptors(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handover.FromDescriptor(fd); err == nil {
		t.Error("a pipe was taken for a handover socket")
	}
	_, _ = r.Close(), w.Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before it were %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func lowestFree(t *testing.T) int {
	t.Helper()
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	return fd
}
