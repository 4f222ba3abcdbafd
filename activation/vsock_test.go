//go:build linux

package activation_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestVsockAddr(t *testing.T) {
	for text, want := range map[string]activation.VsockAddr{
		":80":                 {CID: unix.VMADDR_CID_ANY, Port: 80},
		"3:0":                 {CID: 3},
		"2:4294967294":        {CID: 2, Port: 4294967294},
		"0:1":                 {CID: 0, Port: 1},
		":1024":               {CID: unix.VMADDR_CID_ANY, Port: 1024},
		"4294967294:10000000": {CID: 4294967294, Port: 10000000},
	} {
		got, err := activation.ParseVsockAddr(text)
		if err != nil || got != want || got.String() != text || got.Network() != "vsock" {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "80", ":", "3:", "x:1", "1:x", "-1:1", "+1:1", "1:4294967296", "1:2:3", " 1:1", "01:1"} {
		if got, err := activation.ParseVsockAddr(text); !errors.Is(err, activation.ErrMalformed) {
			t.Errorf("%q: got %v, %v, want ErrMalformed", text, got, err)
		}
		if ln, err := activation.Bind("vsock", text); ln != nil || !errors.Is(err, activation.ErrMalformed) {
			t.Errorf("bind %q: got %v, %v, want ErrMalformed", text, ln, err)
		}
	}
}

func FuzzVsockAddr(f *testing.F) {
	f.Add(":80")
	f.Add("3:1024")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := activation.ParseVsockAddr(text)
		if err != nil {
			return
		}
		if again, err := activation.ParseVsockAddr(a.String()); err != nil || again != a {
			t.Errorf("%q became %v, then %v, %v", text, a, again, err)
		}
	})
}

// TestVsockBind binds for real; connecting would need a guest or the loopback
// transport.
func TestVsockBind(t *testing.T) {
	leakcheck.Check(t)
	ln, err := activation.Bind("vsock", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().(activation.VsockAddr)
	if addr.CID != unix.VMADDR_CID_ANY || addr.Port == 0 || addr.Port == unix.VMADDR_PORT_ANY {
		t.Errorf("bound to %v", addr)
	}
	if again, err := activation.Bind("vsock", addr.String()); again != nil || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same address again: %v, %v", again, err)
	}
	for _, wait := range []time.Duration{-time.Second, 20 * time.Millisecond} { // before Accept begins, and while it waits
		if err := ln.(*activation.VsockListener).SetDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		_, err = ln.Accept()
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("accept with a deadline: %v", err)
		}
	}
}

// generic serves a Unix socket through the code for vsock.
func generic(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	fd := boundSocket(t, path, unix.SOCK_STREAM)
	if err := unix.Listen(fd, 5); err != nil {
		t.Fatal(err)
	}
	ln, err := activation.GenericListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, path
}

func TestVsockConversation(t *testing.T) {
	leakcheck.Check(t)
	ln, path := generic(t)
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := accepted.(*activation.VsockConn)
	defer conn.Close()
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	client.(*net.UnixConn).CloseWrite()
	text, err := io.ReadAll(conn)
	if err != nil || string(text) != "hello" {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := conn.Write([]byte("bye")); err != nil {
		t.Error(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(client); err != nil || string(text) != "bye" {
		t.Errorf("the client read %q, %v", text, err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after CloseWrite: %v", err)
	}
	if err := conn.CloseRead(); err != nil {
		t.Error(err)
	}
}

func TestVsockDeadlinesAndClose(t *testing.T) {
	leakcheck.Check(t)
	ln, path := generic(t)
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for what, set := range map[string]func(time.Time) error{"read": conn.SetReadDeadline, "both": conn.SetDeadline} {
		if err := set(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s: %v, want a timeout", what, err)
		}
		if err := set(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	woken := make(chan error, 2)
	go func() { _, err := conn.Read(make([]byte, 1)); woken <- err }()
	go func() { _, err := ln.Accept(); woken <- err }()
	conn.Close()
	ln.Close()
	for range 2 {
		if err := <-woken; !errors.Is(err, net.ErrClosed) {
			t.Errorf("woken by Close: %v", err)
		}
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func init() { roles["vsock"] = vsockRole }

func vsockRole(c *child) {
	table := c.inherit()
	_, err := table.Listen("v", "tcp", ":1")
	c.fails("as tcp", err, activation.ErrWrongType, "vsock")
	ln, err := table.Listen("v", "vsock", ":1")
	c.must(err)
	c.equal("address", ln.Addr(), c.args[0])
	c.nonblocking(ln)
	c.must(ln.Close())
	c.done(table, 1)
}

func TestVsockHanded(t *testing.T) {
	leakcheck.Check(t)
	ln, err := activation.Bind("vsock", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	start{role: "vsock", args: []string{ln.Addr().String()}, env: named("v"), files: []*os.File{dup(t, ln)}}.run(t)
}
