//go:build linux

package activation_test

import (
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
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

func init() {
	roles["serve"] = serve
	roles["files"] = files
}

// serve accepts one connection from each handed listener and answers with what
// it read.
func serve(c *child) {
	table := c.inherit()
	for _, f := range table.Files() {
		if f.Network == "unixgram" || f.Network == "udp" {
			conn, err := table.ListenPacket(f.Name, f.Network, "")
			c.must(err)
			c.echoPacket(conn)
			continue
		}
		ln, err := table.Listen(f.Name, f.Network, "")
		c.must(err)
		c.nonblocking(ln)
		conn, err := ln.Accept()
		c.must(err)
		c.echo(conn)
		c.must(ln.Close())
	}
	c.done(table, len(table.Files()))
}

func (c *child) echo(conn net.Conn) {
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	c.must(err)
	_, err = conn.Write(buf[:n])
	c.must(err)
	c.must(conn.Close())
}

func (c *child) echoPacket(conn net.PacketConn) {
	c.nonblocking(conn)
	buf := make([]byte, 100)
	n, from, err := conn.ReadFrom(buf)
	c.must(err)
	_, err = conn.WriteTo(buf[:n], from)
	c.must(err)
	c.must(conn.Close())
}

func (c *child) nonblocking(socket any) {
	raw, err := socket.(syscall.Conn).SyscallConn()
	c.must(err)
	c.must(raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		c.must(err)
		c.equal("O_NONBLOCK", flags&unix.O_NONBLOCK != 0, true)
	}))
}

func TestServeWhatWasHanded(t *testing.T) {
	leakcheck.Check(t)
	dir := t.TempDir()
	listeners := []net.Listener{
		listen(t, "tcp", "127.0.0.1:0"),
		listen(t, "unix", filepath.Join(dir, "unix")),
		listen(t, "unixpacket", filepath.Join(dir, "packet")),
	}
	packets := []net.PacketConn{listenPacket(t, "udp", "127.0.0.1:0"), listenPacket(t, "unixgram", filepath.Join(dir, "gram"))}
	var handed []*os.File
	for _, ln := range listeners {
		handed = append(handed, dup(t, ln))
	}
	for _, conn := range packets {
		handed = append(handed, dup(t, conn))
	}
	wait := start{role: "serve", env: named("a", "b", "c", "d", "e"), files: handed}.begin(t)
	for _, ln := range listeners {
		conn, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ask(t, conn)
	}
	udp, err := net.Dial("udp", packets[0].LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask(t, udp)
	gram, err := net.DialUnix("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "me")}, &net.UnixAddr{Name: filepath.Join(dir, "gram")})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, gram)
	wait()
	for _, path := range []string{"unix", "packet", "gram"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
			t.Errorf("a handed socket was unlinked: %v", err)
		}
	}
}

// ask sends a question, expects it back and closes the connection.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(patience.Deadline(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("%s answered %q, %v", conn.RemoteAddr(), buf[:n], err)
	}
}

// files is handed two plain files, a FIFO, a message queue, a netlink socket
// and a Unix connection.
func files(c *child) {
	table := c.inherit()
	for _, want := range c.args {
		file, err := table.OpenFile("plain")
		c.must(err)
		text, err := io.ReadAll(file)
		c.must(err)
		c.equal("content of "+file.Name(), string(text), want)
		c.must(file.Close())
	}
	_, err := table.OpenFile("plain")
	c.fails("a third one", err, activation.ErrClaimed)
	_, err = table.Listen("fifo", "tcp", "127.0.0.1:0")
	c.fails("a FIFO as a listener", err, activation.ErrWrongType, "fifo")
	_, err = table.OpenFile("conn")
	c.fails("a connection as a file", err, activation.ErrWrongType, "unix")

	for _, name := range []string{"fifo", "queue", "netlink"} {
		file, err := table.OpenFile(name)
		c.must(err)
		c.nonblocking(file)
		c.must(file.SetReadDeadline(time.Now().Add(-time.Second)))
		_, err = file.Read(make([]byte, 1))
		if name == "fifo" {
			c.fails("read with a deadline", err, os.ErrDeadlineExceeded)
		}
		c.must(file.Close())
	}
	c.done(table, 6)
}

func TestOpenFile(t *testing.T) {
	leakcheck.Check(t)
	dir := t.TempDir()
	var handed []*os.File
	for _, text := range []string{"first", "second"} {
		path := filepath.Join(dir, text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		handed = append(handed, openPath(t, path))
	}
	conn, _ := socketpair(t, unix.SOCK_STREAM)
	handed = append(handed, openFIFO(t, filepath.Join(dir, "fifo")), openQueue(t, "/heirloom-open-file"), openNetlink(t), conn)
	env := named("plain", "plain", "fifo", "queue", "netlink", "conn")
	start{role: "files", args: []string{"first", "second"}, env: env, files: handed}.run(t)
}
