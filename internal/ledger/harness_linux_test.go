package ledger

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A connected is a connection and its Mark, which is at rest, and its client.
type connected struct {
	*net.TCPConn
	mark   *Mark
	client net.Conn
}

// connect makes connections that are at rest.
func connect(t testing.TB, n int) []connected {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	all := make([]connected, n)
	for i := range all {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(); _ = accepted.Close() })
		all[i] = connected{accepted.(*net.TCPConn), new(Mark), client}
		all[i].mark.Rest()
	}
	return all
}

func candidates(some []connected) []Candidate {
	all := make([]Candidate, len(some))
	for i, c := range some {
		all[i] = Candidate{c.mark, c.TCPConn}
	}
	return all
}

// close is what a server does.
func (c connected) close() {
	if c.mark.Close() {
		_ = control(c.TCPConn, shutDown)
	}
	_ = c.Close()
}

// ended waits until the client sees the end of the connection.
func (c connected) ended(t testing.TB) {
	t.Helper()
	_ = c.client.SetReadDeadline(patience.Deadline(time.Minute))
	if rest, err := io.ReadAll(c.client); err != nil || len(rest) > 0 {
		t.Fatalf("not ended: %q, %v", rest, err)
	}
}

func newTestLedger(t testing.TB) *Ledger {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.End)
	return l
}

// reopen opens the ledger as another process does that was given duplicates of
// its descriptors.
func reopen(t testing.TB, l *Ledger) *Ledger {
	t.Helper()
	again, err := Open(duplicate(t, l.Files()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.End)
	return again
}

func duplicate(t testing.TB, f Files) Files {
	t.Helper()
	for _, fd := range []*int{&f.Page, &f.Read, &f.Write} {
		dup, err := unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		*fd = dup
	}
	return f
}

func enter(t testing.TB, l *Ledger, some []connected) {
	t.Helper()
	if err := l.Enter("http", "127.0.0.1:80", candidates(some)); err != nil {
		t.Fatal(err)
	}
}

// adopt adopts everything, and returns it.
func adopt(t testing.TB, l *Ledger) (Adopted, []*Found) {
	t.Helper()
	var found []*Found
	a, err := l.Adopt(Taker{Take: func(f *Found) bool {
		f.Keep(new(Mark))
		t.Cleanup(func() { _ = f.Conn.Close() })
		found = append(found, f)
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a, found
}

// queued returns how many descriptors and messages are in the queue.
func queued(t testing.TB, l *Ledger) (descriptors, messages int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.queue.look(func(_ []byte, fds []int) {
		descriptors += len(fds)
		messages++
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if l.total != descriptors || len(l.messages) != messages {
		t.Errorf("%d descriptors in %d messages, but %d in %d are known", descriptors, messages, l.total, len(l.messages))
	}
	return descriptors, messages
}
