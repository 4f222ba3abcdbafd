package gate_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/gate"
)

// An echo is a server that sends datagrams back. Its last one takes until last
// is closed.
type echo struct {
	last     chan struct{}
	failed   chan error // what its reads failed with
	shutdown chan struct{}
}

func newEcho() *echo {
	return &echo{make(chan struct{}), make(chan error, 1), make(chan struct{})}
}

func (e *echo) Serve(conn net.PacketConn) error {
	p := make([]byte, 100)
	for {
		n, from, err := conn.ReadFrom(p)
		if err != nil {
			e.failed <- err
			<-e.last
			return err
		}
		if _, err := conn.WriteTo(p[:n], from); err != nil {
			return err
		}
	}
}

func (e *echo) Shutdown(context.Context) error {
	close(e.shutdown)
	return nil
}

// A server that has ended by itself has had its time; then it is told, and its
// socket is closed.
func TestJob(t *testing.T) {
	for _, gated := range []bool{true, false} {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, want := socket, os.ErrDeadlineExceeded
		if gated {
			c := gate.NewUDP(socket.(*net.UDPConn), errShut, nil)
			conn, want = &c, errShut
			gate.Of(conn).Open()
		} else if gate.Of(conn) != nil {
			t.Errorf("%T has a gate", conn)
		}
		server := newEcho()
		job := gate.NewJob(conn, server, time.Hour)
		ran, ended := make(chan error, 1), make(chan error, 1)
		go func() { ran <- job.Run(t.Context()) }()
		ask(t, socket.LocalAddr())
		if gated {
			gate.Of(conn).Shut()
		}
		go func() { ended <- job.End(t.Context()) }()
		if err := <-server.failed; !errors.Is(err, want) {
			t.Errorf("its reads fail with %v, want %v", err, want)
		}
		select {
		case <-server.shutdown:
			t.Error("it was told to end before it had returned")
		default:
		}
		close(server.last)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		<-server.shutdown
		<-ran
		if err := socket.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket is open after the end: %v", err)
		}
	}
}

// A server that does not return in time is told to. One that does not obey
// keeps its socket: it may still use it.
func TestJobHangs(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newEcho()
	job := gate.NewJob(socket, server, time.Millisecond)
	ran, ended := make(chan error, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ran <- job.Run(ctx) }()
	go func() { ended <- job.End(ctx) }()
	<-server.shutdown
	cancel()
	<-ended
	if err := socket.Close(); err != nil {
		t.Errorf("the socket was closed under a server that serves: %v", err)
	}
	close(server.last)
	<-ran
}

// ask sends a datagram to a server, and awaits the answer.
func ask(t *testing.T, address net.Addr) {
	t.Helper()
	nc, err := net.Dial("udp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 100)); n != 5 || err != nil {
		t.Fatalf("answer of %d bytes, %v", n, err)
	}
}
