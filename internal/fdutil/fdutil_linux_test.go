package fdutil_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

func pair(t *testing.T, network, address string) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, client
}

func flags(t *testing.T, fd, command int) int {
	t.Helper()
	f, err := unix.FcntlInt(uintptr(fd), command, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDuplicate(t *testing.T) {
	server, _ := pair(t, "tcp", "127.0.0.1:0")
	fd, err := fdutil.Duplicate(server)
	if err != nil {
		t.Fatal(err)
	}
	if flags(t, fd, unix.F_GETFD)&unix.FD_CLOEXEC == 0 {
		t.Error("a new program would inherit the duplicate")
	}
	fdutil.Control(server, func(fd int) {
		if flags(t, fd, unix.F_GETFL)&unix.O_NONBLOCK == 0 {
			t.Error("the connection was made blocking")
		}
	})
	above, err := fdutil.DuplicateFrom(fd, 200)
	if err != nil || above < 200 {
		t.Errorf("DuplicateFrom(200) = %d, %v", above, err)
	}
	fdutil.CloseAll([]int{fd, above})
	for _, fd := range []int{fd, above} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("descriptor %d after CloseAll: %v", fd, err)
		}
	}
}

// Duplicate returns -1 with an error: 0 would be standard input.
func TestDuplicateOfNothing(t *testing.T) {
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, file := range map[string]any{"no file": "text", "a closed one": closed} {
		if fd, err := fdutil.Duplicate(file); fd != -1 || err == nil {
			t.Errorf("%s: %d, %v", name, fd, err)
		}
	}
	if fd, err := fdutil.DuplicateFrom(-1, 3); fd != -1 || err != unix.EBADF {
		t.Errorf("DuplicateFrom of no descriptor: %d, %v", fd, err)
	}
}

func TestPeekLeavesWhatItSaw(t *testing.T) {
	server, client := pair(t, "tcp", "127.0.0.1:0")
	p := make([]byte, 8)
	if n := fdutil.Peek(server, p); n != 0 || fdutil.HasUnread(server) {
		t.Fatalf("a silent connection has %d bytes", n)
	}
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	fdutil.Control(server, func(fd int) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
	})
	if n := fdutil.Peek(server, p); string(p[:n]) != "hello" || !fdutil.HasUnread(server) {
		t.Fatalf("peeked %q", p[:n])
	}
	if _, err := io.ReadFull(server, p[:5]); err != nil || string(p[:5]) != "hello" {
		t.Fatalf("read %q, %v", p[:5], err)
	}
	piped, other := net.Pipe()
	defer piped.Close()
	defer other.Close()
	if fdutil.HasUnread(piped) || fdutil.Peek(piped, p) != 0 {
		t.Error("a connection without a descriptor has unread bytes")
	}
}

// fill writes until there is no room, and none has come after a while: the
// kernel looks once more then, so it does not matter whether it was slow.
func fill(t *testing.T, nc net.Conn) {
	t.Helper()
	fdutil.Control(nc, func(fd int) {
		for full := false; !full; {
			_, err := unix.Write(fd, make([]byte, 1<<20))
			if err == nil || err == unix.EINTR {
				continue
			}
			if err != unix.EAGAIN {
				t.Error(err)
				return
			}
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 200)
			full = n == 0 && err == nil
		}
	})
}

func TestClocks(t *testing.T) {
	server, client := pair(t, "tcp", "127.0.0.1:0")
	if _, _, known := fdutil.LastData(server); !known {
		t.Error("TCP has no clock")
	}
	if fdutil.SendStalled(server, 0) {
		t.Error("stalled, with nothing to send")
	}
	if n := fdutil.TryWrite(server, "hello"); n != 5 {
		t.Errorf("wrote %d bytes, with room for them", n)
	}
	fill(t, server) // the client reads nothing
	if !fdutil.SendStalled(server, 0) {
		t.Error("not stalled, with full buffers")
	}
	if n := fdutil.TryWrite(server, string(make([]byte, 8<<20))); n == 8<<20 {
		t.Error("everything was written, with full buffers")
	}
	if fdutil.SendStalled(server, time.Hour) {
		t.Error("stalled for an hour")
	}
	_ = client

	local, _ := pair(t, "unix", filepath.Join(t.TempDir(), "s"))
	if _, _, known := fdutil.LastData(local); known {
		t.Error("a Unix socket has a clock")
	}
	fill(t, local)
	if !fdutil.SendStalled(local, time.Hour) {
		t.Error("not stalled, with a full Unix socket")
	}
}

func TestFree(t *testing.T) {
	if n := fdutil.Free(1, 10); n != 10 {
		t.Errorf("room for %d duplicates of 10", n)
	}
	if fdutil.Limit() <= 0 {
		t.Error("no limit known")
	}
}

// TestTaken compares the kernel's count with what was read: with bytes that
// wait, with the end of what the client sends behind them, and without either.
func TestTaken(t *testing.T) {
	const unread = 7
	for _, size := range []int{0, 1, 100, 70000} {
		server, client := pair(t, "tcp", "127.0.0.1:0")
		done := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, size+unread))
			done <- err
		}()
		if _, err := io.ReadFull(server, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := func(n int) {
			t.Helper()
			if got, known := fdutil.Taken(server); !known || got != uint64(n) {
				t.Errorf("%d bytes were read, %v, want %d", got, known, n)
			}
		}
		want(size)
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		want(size)
		if rest, err := io.ReadAll(server); err != nil || len(rest) != unread {
			t.Fatal(len(rest), err)
		}
		want(size + unread)
	}
}

// TestTakenWhileSending asks for the count of a connection on which bytes arrive
// all the time, of which only those that were read may count.
func TestTakenWhileSending(t *testing.T) {
	server, client := pair(t, "tcp", "127.0.0.1:0")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := client.Write(make([]byte, 100)); err != nil {
				return
			}
		}
	}()
	const rounds = 2000
	for i := range uint64(rounds) {
		if n, known := fdutil.Taken(server); known && n != i {
			t.Fatalf("%d bytes were read, want %d", n, i)
		}
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	_ = server.Close()
	_ = client.Close()
	<-done
}

// TestTakenUnknown has no count for what is not a connection of TCP.
func TestTakenUnknown(t *testing.T) {
	server, _ := pair(t, "unix", filepath.Join(t.TempDir(), "socket"))
	if n, known := fdutil.Taken(server); known {
		t.Errorf("%d bytes were read from a Unix socket", n)
	}
}

// TestWritten compares the kernel's count with what was written: with bytes for
// which the client has no room, while it reads them, and when it has them all.
func TestWritten(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		server, client := pair(t, network, address)
		wrote := 0
		want := func() {
			t.Helper()
			fdutil.Control(server, func(fd int) {
				if got, known := fdutil.WrittenTo(fd); !known || got != uint64(wrote) {
					t.Errorf("%s: %d bytes were written, %v, want %d", network, got, known, wrote)
				}
			})
		}
		want()
		fdutil.Control(server, func(fd int) {
			for {
				n, err := unix.Write(fd, make([]byte, 1000))
				if err != nil {
					return
				}
				wrote += n
			}
		})
		want()
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for left := wrote; left > 0; {
			n, err := client.Read(make([]byte, 5000))
			if err != nil {
				t.Fatal(err)
			}
			left -= n
			want()
		}
		file, err := os.Open("fdutil_linux_test.go")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		n, err := io.Copy(server, file) // sendfile(2)
		if err != nil {
			t.Fatal(err)
		}
		wrote += int(n)
		want()
		if err := server.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		fdutil.Control(server, func(fd int) {
			if n, known := fdutil.WrittenTo(fd); known {
				t.Errorf("%d bytes were written to a connection that is closed for it", n)
			}
		})
	}
}
