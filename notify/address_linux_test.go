package notify_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/notify"
)

var addresses = []struct {
	value string
	want  string // as ParseAddress writes it; empty if invalid
	say   string // part of the error
}{
	{value: "/run/systemd/notify", want: "/run/systemd/notify"},
	{value: "@org.example", want: "@org.example"},
	{value: "@vsock:1:2", want: "@vsock:1:2"},
	{value: "/" + strings.Repeat("x", 106), want: "/" + strings.Repeat("x", 106)},
	{value: "vsock:2:1234", want: "vsock 2 1234"},
	{value: "vsock:host:0", want: "vsock 2 0"},
	{value: "vsock:local:1", want: "vsock 1 1"},
	{value: "vsock:hypervisor:1", want: "vsock 0 1"},
	{value: "vsock-dgram:3:4", want: "dgram 3 4"},
	{value: "vsock-seqpacket:3:4", want: "seqpacket 3 4"},
	{value: "vsock-stream:4294967294:4294967294", want: "stream 4294967294 4294967294"},
	{value: "", say: "does not start with"},
	{value: "run/notify", say: "does not start with"},
	{value: "unix:/run/notify", say: "does not start with"},
	{value: "/", say: "no name"},
	{value: "@", say: "no name"},
	{value: "/" + strings.Repeat("x", 107), say: "108 bytes"},
	{value: "@" + strings.Repeat("x", 107), say: "108 bytes"},
	{value: "/a\x00b", say: "NUL"},
	{value: "vsock", say: "does not start with"},
	{value: "vsock:", say: `CID ""`},
	{value: "vsock:2", say: `port ""`},
	{value: "vsock::1", say: `CID ""`},
	{value: "vsock:2:", say: `port ""`},
	{value: "vsock:2:3:4", say: `port "3:4"`},
	{value: "vsock:any:1", say: `CID "any"`},
	{value: "vsock:-1:1", say: `CID "-1"`},
	{value: "vsock:4294967295:1", say: `CID "4294967295"`},
	{value: "vsock:4294967296:1", say: `CID "4294967296"`},
	{value: "vsock:1:4294967295", say: `port "4294967295"`},
	{value: "vsock:1:x", say: `port "x"`},
	{value: "vsock-mux:1:2", say: "unknown socket type"},
}

func TestAddresses(t *testing.T) {
	for _, test := range addresses {
		got, err := notify.ParseAddress(test.value)
		if test.want != "" {
			if got != test.want || err != nil {
				t.Errorf("%q: got %q, %v, want %q", test.value, got, err, test.want)
			}
			continue
		}
		if !errors.Is(err, notify.ErrInvalid) || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%q: want ErrInvalid with %q, got %q, %v", test.value, test.say, got, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, test := range addresses {
		f.Add(test.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := notify.ParseAddress(value)
		if err != nil {
			if !errors.Is(err, notify.ErrInvalid) {
				t.Errorf("%q: %v", value, err)
			}
			return
		}
		if got != value && !strings.HasPrefix(value, "vsock") {
			t.Errorf("%q became %q", value, got)
		}
	})
}

func TestDialInvalid(t *testing.T) {
	leakcheck.Check(t)
	if n, err := notify.Dial("tcp://host"); n != nil || !errors.Is(err, notify.ErrInvalid) {
		t.Errorf("got %v, %v", n, err)
	}
}

// TestVsock compares with what the kernel itself says about each type of vsock:
// few have datagrams, or a receiver.
func TestVsock(t *testing.T) {
	leakcheck.Check(t)
	for _, test := range []struct {
		address string
		kinds   []int
	}{
		{"vsock-dgram:local:1", []int{unix.SOCK_DGRAM}},
		{"vsock-seqpacket:local:1", []int{unix.SOCK_SEQPACKET}},
		{"vsock-stream:local:1", []int{unix.SOCK_STREAM}},
		{"vsock:local:1", []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_STREAM}},
	} {
		opening, sending := askKernel(t, test.kinds)
		n, err := notify.Dial(test.address)
		if !errors.Is(err, opening) {
			t.Errorf("%s: Dial: got %v, want %v", test.address, err, opening)
		}
		if err != nil {
			continue
		}
		if err := n.Notify(notify.Ready()); !errors.Is(err, sending) {
			t.Errorf("%s: Notify: got %v, want %v", test.address, err, sending)
		}
		if err := n.Notify(notify.FDStore("a", 0)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: descriptors: got %v", test.address, err)
		}
		if err := n.Barrier(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: Barrier: got %v", test.address, err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// askKernel returns the error of opening a vsock of the first type it has, and
// that of connecting it to port 1 of this machine, where nobody listens.
func askKernel(t *testing.T, kinds []int) (opening, sending error) {
	t.Helper()
	for _, kind := range kinds {
		fd, err := unix.Socket(unix.AF_VSOCK, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			opening = err
			continue
		}
		// ETIMEDOUT, which some kernels say here, comes after two seconds by
		// default.
		soon := unix.NsecToTimeval(int64(time.Millisecond))
		if err := unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, &soon); err != nil {
			t.Fatal(err)
		}
		sending = unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_LOCAL, Port: 1})
		_ = unix.Close(fd)
		t.Logf("type %d: connecting says %v", kind, sending)
		return nil, sending
	}
	t.Logf("types %v: opening says %v", kinds, opening)
	return opening, nil
}

// TestConversation is the way of a vsock without datagrams, over Unix sockets:
// a connection for each message.
func TestConversation(t *testing.T) {
	leakcheck.Check(t)
	for network, kind := range map[string]int{"unix": unix.SOCK_STREAM, "unixpacket": unix.SOCK_SEQPACKET} {
		path := socketPath(t)
		listener, err := net.Listen(network, path)
		if err != nil {
			t.Fatal(err)
		}
		n := notify.DialConnecting(path, kind, 5*time.Minute)
		for _, text := range []string{"one", "two"} {
			done := make(chan error, 1)
			go func() { done <- n.Notify(notify.Ready(), notify.Status(text)) }()
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, conn); got != "READY=1\nSTATUS="+text {
				t.Errorf("%s: received %q", network, got)
			}
			select {
			case err := <-done:
				t.Errorf("%s: ended before the receiver closed: %v", network, err)
			default:
			}
			_ = conn.Close()
			if err := <-done; err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
		_ = listener.Close()
		if err := n.Notify(notify.Ready()); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: nobody listens: %v", network, err)
		}
	}
}

// readAll reads to the end. io.ReadAll does not see the end of a seqpacket
// connection, which is an empty read.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	var text []byte
	for {
		buffer := make([]byte, 8192)
		n, err := conn.Read(buffer)
		text = append(text, buffer[:n]...)
		if n == 0 || err != nil {
			return string(text)
		}
	}
}

func TestConversationFails(t *testing.T) {
	leakcheck.Check(t)
	for name, test := range map[string]struct {
		answer func(net.Conn)
		limit  time.Duration
		want   error
	}{
		"an answer": {func(conn net.Conn) { _, _ = conn.Write([]byte("x")) }, 5 * time.Minute, syscall.EPROTO},
		"silence":   {func(net.Conn) {}, 100 * time.Millisecond, os.ErrDeadlineExceeded},
	} {
		path := socketPath(t)
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		n := notify.DialConnecting(path, unix.SOCK_STREAM, test.limit)
		done := make(chan error, 1)
		go func() { done <- n.Notify(notify.Ready()) }()
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		test.answer(conn)
		if err := <-done; !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		_ = conn.Close()
		_ = listener.Close()
	}
}
