package notify_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/notify"
)

// receiver is a manager's end of the protocol, written without the package
// under test.
type receiver struct {
	t  testing.TB
	fd int
}

// datagram is one received message. The test that received it closes fds.
type datagram struct {
	text string
	fds  []int
	pid  int32
}

// receive binds a socket at address, until the test ends.
func receive(t testing.TB, address string) *receiver {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, fd: fd}
	t.Cleanup(r.close)
	limit := unix.NsecToTimeval(patience.Of(limit).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *receiver) close() {
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// next waits for a message.
func (r *receiver) next() datagram {
	r.t.Helper()
	d, err := r.receive(0)
	if err != nil {
		r.t.Fatalf("no message: %v", err)
	}
	return d
}

// none fails the test if there is a message.
func (r *receiver) none() {
	r.t.Helper()
	if d, err := r.receive(unix.MSG_DONTWAIT); err != unix.EAGAIN {
		r.t.Fatalf("received %q, error %v", d.text, err)
	}
}

func (r *receiver) receive(flags int) (datagram, error) {
	text, control := make([]byte, 8192), make([]byte, 4096)
	n, controlled, _, _, err := unix.Recvmsg(r.fd, text, control, flags|unix.MSG_CMSG_CLOEXEC)
	for err == unix.EINTR {
		n, controlled, _, _, err = unix.Recvmsg(r.fd, text, control, flags|unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return datagram{}, err
	}
	d := datagram{text: string(text[:n])}
	messages, err := unix.ParseSocketControlMessage(control[:controlled])
	if err != nil {
		return d, err
	}
	for i := range messages {
		switch messages[i].Header.Type {
		case unix.SCM_RIGHTS:
			d.fds, err = unix.ParseUnixRights(&messages[i])
		case unix.SCM_CREDENTIALS:
			var credentials *unix.Ucred
			if credentials, err = unix.ParseUnixCredentials(&messages[i]); err == nil {
				d.pid = credentials.Pid
			}
		}
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d datagram) close() {
	for _, fd := range d.fds {
		_ = unix.Close(fd)
	}
}

// pair returns a receiver at a path, and a Notifier that sends to it and is
// closed with the test.
func pair(t testing.TB) (*receiver, *notify.Notifier) {
	t.Helper()
	r, n, _ := pairAt(t, notify.SendTimeout)
	return r, n
}

func pairAt(t testing.TB, patience time.Duration) (*receiver, *notify.Notifier, string) {
	t.Helper()
	path := socketPath(t)
	r := receive(t, path)
	n, err := notify.DialFor(path, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, n, path
}

// socketPath is short, which t.TempDir is not always: sun_path holds 107 bytes.
func socketPath(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, "s")
}

// fill sends to address until its queue is full, and returns how many messages
// that took.
func fill(t *testing.T, address string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for count := 0; ; count++ {
		err := unix.Sendto(fd, []byte("filler"), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: address})
		if err == unix.EAGAIN {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// awaitSendmsg returns once a thread of this process sits in sendmsg, and fails
// the test if done closes before.
func awaitSendmsg[T any](t *testing.T, done <-chan T) {
	t.Helper()
	want := strconv.Itoa(unix.SYS_SENDMSG) + " "
	for {
		select {
		case result := <-done:
			t.Fatalf("ended while the queue was full: %v", result)
		default:
		}
		calls, err := filepath.Glob("/proc/self/task/*/syscall")
		if err != nil || len(calls) == 0 {
			t.Fatalf("cannot see system calls: %v", err)
		}
		for _, call := range calls {
			if state, err := os.ReadFile(call); err == nil && strings.HasPrefix(string(state), want) {
				return
			}
		}
		runtime.Gosched()
	}
}

// sameFile tells whether both descriptors are of one open file's inode.
func sameFile(t *testing.T, a, b int) bool {
	t.Helper()
	var first, second unix.Stat_t
	if err := unix.Fstat(a, &first); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fstat(b, &second); err != nil {
		t.Fatal(err)
	}
	return first.Dev == second.Dev && first.Ino == second.Ino
}
