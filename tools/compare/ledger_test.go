//go:build linux

package main_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	compare "github.com/heirloom-go/heirloom/tools/compare"
)

// TestLost has cuts around the death of process 7, from second 10 to second 12.
func TestLost(t *testing.T) {
	for _, test := range []struct {
		name             string
		dialled, at, pid int
		want             int
	}{
		{"of the process", 1, 11, 7, 1},
		{"of the process, noticed late", 1, 99, 7, 1},
		{"of nobody yet", 9, 11, 0, 1},
		{"of nobody yet, asked for while it died", 11, 13, 0, 1},
		{"before its death", 1, 9, 7, 0},
		{"of another process", 1, 11, 6, 0},
		{"asked for when it was dead", 12, 13, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := compare.NewLedger()
			l.Died(5, 2, 3)
			l.Died(7, 10, 12)
			l.Cut(test.dialled, test.at, test.pid)
			if got := l.Lost(); got != test.want {
				t.Errorf("lost %d, want %d", got, test.want)
			}
		})
	}
}

// TestCounts has connections that end in each of the ways.
func TestCounts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := compare.NewLedger()
	open := func() (client, server net.Conn) {
		t.Helper()
		client, err := l.Dial(t.Context(), listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if server, err = listener.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}

	// One that is closed before the request.
	client, server := open()
	_ = server.Close()
	wait(t, compare.Bare(client))
	if !compare.Closed(compare.Bare(client)) {
		t.Error("a closed connection is not seen to be")
	}
	_, _ = io.WriteString(client, "question")
	_, _ = io.ReadAll(client)
	_, err = client.Read(make([]byte, 1)) // again, and counted once
	if err == nil {
		t.Error("something was read")
	}

	// One that is closed after it, and after an answer.
	client, server = open()
	_, _ = io.WriteString(client, "question")
	_, _ = io.WriteString(server, "hello from generation 1 (pid 7, version v1)\n")
	if _, err := client.Read(make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if compare.Closed(compare.Bare(client)) {
		t.Error("an open connection is taken for closed")
	}
	_, _ = io.WriteString(client, "question")
	_ = server.Close()
	if _, err := client.Read(make([]byte, 100)); err == nil {
		t.Error("something was read")
	}

	_ = listener.Close()
	if _, err := l.Dial(t.Context(), listener.Addr().String()); err == nil {
		t.Error("there is a connection to nobody")
	}
	if refused, closed, cut := l.Counts(); refused != 1 || closed != 1 || cut != 1 {
		t.Errorf("%d refused, %d closed, %d cut, want one each", refused, closed, cut)
	}
	l.Died(7, 0, 1)
	if got := l.Lost(); got != 1 { // that which process 7 has answered
		t.Errorf("%d lost, want 1", got)
	}
}

// TestCountsTLS has a server that closes a connection as TLS does, with an
// alert, before the request is sent; and one that breaks the handshake off.
func TestCountsTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	config := &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}}
	served := make(chan error, 1)
	serve := func(do func(net.Conn) error) {
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				err = errors.Join(do(conn), conn.Close())
			}
			served <- err
		}()
	}
	l := compare.NewLedgerTLS()

	serve(func(conn net.Conn) error {
		tc := tls.Server(conn, config)
		return errors.Join(tc.Handshake(), tc.CloseWrite(), tc.NetConn().(*net.TCPConn).CloseWrite())
	})
	client, err := l.Dial(t.Context(), listener.Addr().String())
	if err = errors.Join(err, <-served); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, compare.Bare(client))
	_, _ = io.WriteString(client, "question")
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("something was read")
	}
	_ = client.Close()

	serve(func(net.Conn) error { return nil })
	if _, err := l.Dial(t.Context(), listener.Addr().String()); err == nil {
		t.Error("there was a handshake")
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if refused, closed, cut := l.Counts(); refused != 0 || closed != 1 || cut != 1 {
		t.Errorf("%d refused, %d closed, %d cut, want none, one and one", refused, closed, cut)
	}
}

// waitClosed waits until the connection is seen to be closed.
func waitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if !patience.Until(30*time.Second, func() bool { return compare.Closed(conn) }) {
		t.Error("a closed connection is not seen to be")
	}
}

// wait waits until there is something to be read, if only an end.
func wait(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
		return err != unix.EAGAIN
	})
	if err != nil {
		t.Error(err)
	}
}
