//go:build linux

package activation_test

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func init() {
	roles["connections"] = connectionsRole
	roles["remote"] = remote
}

// connectionsRole is handed two connections of one name and echoes on both.
func connectionsRole(c *child) {
	table := c.inherit()
	conns, err := table.Conns("stored")
	c.must(err)
	c.equal("number", len(conns), 2)
	for _, conn := range conns {
		c.nonblocking(conn)
		c.echo(conn)
	}
	_, err = table.Conns("stored")
	c.fails("again", err, activation.ErrClaimed)
	c.done(table, 2)
}

func TestConns(t *testing.T) {
	leakcheck.Check(t)
	mine, theirs := socketpair(t, unix.SOCK_SEQPACKET)
	ln := listen(t, "tcp", "127.0.0.1:0")
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	wait := start{role: "connections", env: named("stored", "stored"), files: []*os.File{theirs, dup(t, accepted)}}.begin(t)
	packet, err := net.FileConn(mine)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, packet)
	ask(t, client)
	wait()
}

// remote is handed one connection and told what RemoteAddr must be, or which
// variable is malformed.
func remote(c *child) {
	table := c.inherit()
	conn, err := table.Connection()
	if c.args[1] != "" {
		c.fails("malformed", err, activation.ErrMalformed, c.args[1])
		c.equal("still there", table.Files()[0].Claimed, false)
		c.done(table, 1)
		return
	}
	c.must(err)
	c.equal("remote address", conn.RemoteAddr(), c.args[0])
	_, half := conn.(interface{ CloseWrite() error })
	c.equal("has CloseWrite", half, true)
	c.nonblocking(conn)
	c.must(conn.Close())
	_, err = table.Connection()
	c.fails("again", err, activation.ErrClaimed)
	c.done(table, 1)
}

func TestConnectionRemoteAddr(t *testing.T) {
	leakcheck.Check(t)
	alive, client := accepted(t)
	gone, other := accepted(t)
	reset(t, other)
	pair, _ := socketpair(t, unix.SOCK_STREAM)
	for name, test := range map[string]struct {
		file       *os.File
		addr, port string
		want       string
		malformed  string
	}{
		"the socket knows":         {file: dup(t, alive), addr: "192.0.2.1", port: "1", want: client.LocalAddr().String()},
		"gone":                     {file: dup(t, gone), addr: "192.0.2.1", port: "1234", want: "192.0.2.1:1234"},
		"gone, IPv6":               {file: dup(t, gone), addr: "2001:db8::1", port: "1234", want: "[2001:db8::1]:1234"},
		"gone, nothing known":      {file: dup(t, gone), want: "<nil>"},
		"a proxy's Unix socket":    {file: pair, addr: "192.0.2.1", port: "1234", want: "192.0.2.1:1234"},
		"a Unix path":              {file: pair, addr: "/run/client", want: "/run/client"},
		"vsock":                    {file: pair, addr: "vsock:3", port: "1234", want: "3:1234"},
		"address makes no sense":   {file: dup(t, gone), addr: "somewhere", port: "1", malformed: `REMOTE_ADDR="somewhere"`},
		"port makes no sense":      {file: dup(t, gone), addr: "192.0.2.1", port: "65536", malformed: `REMOTE_PORT="65536"`},
		"nonsense nobody looks at": {file: dup(t, alive), addr: "somewhere", want: client.LocalAddr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			env := named("connection")
			if test.addr != "" {
				env["REMOTE_ADDR"], env["REMOTE_PORT"] = test.addr, test.port
			}
			start{role: "remote", args: []string{test.want, test.malformed}, env: env, files: []*os.File{test.file}}.run(t)
		})
	}
}

// accepted returns both ends of a TCP connection.
func accepted(t *testing.T) (server, client net.Conn) {
	t.Helper()
	ln := listen(t, "tcp", "127.0.0.1:0")
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

// reset closes the client's end with a RST, after which getpeername(2) at the
// server says ENOTCONN.
func reset(t *testing.T, client net.Conn) {
	t.Helper()
	if err := client.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
}
