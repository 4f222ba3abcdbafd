//go:build linux

package activation_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

func init() {
	roles["activated"] = activated
	roles["accepted"] = acceptedRole
	roles["datagrams"] = datagrams
}

// activated is started by systemd-socket-activate: it serves one connection
// from each listener of the given names.
func activated(c *child) {
	table := c.inherit()
	c.equal("ignored", table.Ignored(), nil)
	for _, name := range c.args {
		lns, err := table.Listeners(name)
		c.must(err)
		for _, ln := range lns {
			c.nonblocking(ln)
			conn, err := ln.Accept()
			c.must(err)
			c.echo(conn)
			c.must(ln.Close())
		}
	}
	c.done(table, len(table.Files()))
}

func datagrams(c *child) {
	table := c.inherit()
	conn, err := table.ListenPacket("dns", "udp", ":53")
	c.must(err)
	c.echoPacket(conn)
	c.done(table, 1)
}

func acceptedRole(c *child) {
	table := c.inherit()
	conn, err := table.Connection()
	c.must(err)
	c.nonblocking(conn)
	_, err = fmt.Fprint(conn, conn.RemoteAddr())
	c.must(err)
	c.echo(conn)
	c.done(table, 1)
}

// socketActivate runs systemd-socket-activate, a starter that nobody here
// wrote, until it has bound its sockets.
func socketActivate(t *testing.T, role string, args []string, options ...string) {
	t.Helper()
	used[role] = true
	path, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("systemd-socket-activate (package systemd) is missing: ", err)
	}
	options = append(options, "-E", roleVar+"="+role, "-E", argsVar+"="+strings.Join(args, "|"), "-E", "GORACE=atexit_sleep_ms=0", os.Args[0])
	ctx, cancel := patience.Context(context.Background(), time.Minute) // t.Context ends before the cleanup waits
	cmd := exec.CommandContext(ctx, path, options...)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=info", "SYSTEMD_LOG_TARGET=console")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	said := []string{}
	for want := countListen(options); want > 0 && lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "Listening on") {
			want--
		}
	}
	t.Cleanup(func() {
		defer cancel()
		if role == "accepted" { // it goes on for ever
			_ = cmd.Process.Kill()
		}
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		if err := cmd.Wait(); err != nil && role != "accepted" || strings.Contains(strings.Join(said, "\n"), "unexpected error") {
			t.Errorf("systemd-socket-activate: %v\n%s", err, strings.Join(said, "\n"))
		}
	})
}

func countListen(options []string) (n int) {
	for _, option := range options {
		if option == "-l" {
			n++
		}
	}
	return n
}

func dialAndAsk(t *testing.T, network, address string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, conn)
}

func TestSystemdStream(t *testing.T) {
	leakcheck.Check(t)
	tcp, path := freeport.Address(t, "tcp"), filepath.Join(t.TempDir(), "s")
	t.Run("named", func(t *testing.T) {
		socketActivate(t, "activated", []string{"web", "admin"}, "-l", tcp, "-l", path, "--fdname=web:admin")
		dialAndAsk(t, "tcp", tcp)
		dialAndAsk(t, "unix", path)
	})
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("systemd's socket was unlinked: %v", err)
	}
	one, two := freeport.Address(t, "tcp"), freeport.Address(t, "tcp")
	t.Run("unnamed", func(t *testing.T) {
		socketActivate(t, "activated", []string{"unknown"}, "-l", one, "-l", two)
		dialAndAsk(t, "tcp", one)
		dialAndAsk(t, "tcp", two)
	})
}

func TestSystemdSeqpacket(t *testing.T) {
	leakcheck.Check(t)
	path := filepath.Join(t.TempDir(), "s")
	t.Run("run", func(t *testing.T) {
		socketActivate(t, "activated", []string{"packets"}, "--seqpacket", "-l", path, "--fdname=packets")
		dialAndAsk(t, "unixpacket", path)
	})
}

func TestSystemdDatagram(t *testing.T) {
	leakcheck.Check(t)
	udp := freeport.Address(t, "udp")
	t.Run("run", func(t *testing.T) {
		socketActivate(t, "datagrams", nil, "-d", "-l", udp, "--fdname=dns")
		dialAndAsk(t, "udp", udp)
	})
}

func TestSystemdAccept(t *testing.T) {
	leakcheck.Check(t)
	tcp := freeport.Address(t, "tcp")
	t.Run("run", func(t *testing.T) {
		socketActivate(t, "accepted", nil, "--accept", "-l", tcp, "--fdname=connection")
		for range 3 {
			conn, err := net.Dial("tcp", tcp)
			if err != nil {
				t.Fatal(err)
			}
			told := make([]byte, len(conn.LocalAddr().String()))
			if n, err := conn.Read(told); err != nil || string(told[:n]) != conn.LocalAddr().String() {
				t.Errorf("the service sees %q, %v, want %s", told[:n], err, conn.LocalAddr())
			}
			ask(t, conn)
		}
	})
}
