package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func init() { roles["caller id"] = callerID }

// callerID looks at the address of each client.
func callerID(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	l, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler(service.Generation()),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			fmt.Println("client", nc.RemoteAddr().String())
			return ctx
		},
	}
	if err := service.HTTP(l, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// TestClientGoneOnTheWay hands over a connection that its client has reset
// since, and one that lives.
func TestClientGoneOnTheWay(t *testing.T) {
	address := freeport.Address(t, "tcp")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone, goneEnd := acceptOn(t, l, address)
	lives, livesEnd := acceptOn(t, l, address)
	_ = gone.Conn.(*net.TCPConn).SetLinger(0)
	_ = gone.Close()
	poll := []unix.PollFd{{Fd: int32(goneEnd), Events: unix.POLLIN}}
	for poll[0].Revents&unix.POLLHUP == 0 {
		_, _ = unix.Poll(poll, -1)
	}
	bound := fmt.Sprintf(`{"name":"http","network":"tcp","address":%q}`, address)
	p := startPredecessor(t, t.TempDir(), "tcp!"+address, bound, l, "HEIRLOOM_TEST_ROLE=caller id")
	p.await(handover.Ready)
	p.send(`{"type":"go"}`)
	p.await(handover.Serving)
	p.send(`{"type":"main"}`)
	p.send(fmt.Sprintf(`{"type":"connections","listener":"http","address":%q}`, address), goneEnd, livesEnd)
	if m := p.await(handover.Accepted); m.Count != 2 {
		t.Errorf("%d connections were taken, want 2", m.Count)
	}
	if generation, err := lives.exchange(); err != nil || generation != 2 {
		t.Errorf("generation %d answers, %v", generation, err)
	}
}

// TestUnknownBeforeState has a message of a later version come between those
// with state, which all arrive.
func TestUnknownBeforeState(t *testing.T) {
	address := freeport.Address(t, "tcp")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bound := fmt.Sprintf(`{"name":"http","network":"tcp","address":%q}`, address)
	p := startPredecessor(t, t.TempDir(), "tcp!"+address, bound, l, "HEIRLOOM_TEST_ROLE=successors")
	p.await(handover.Ready)
	p.send(`{"type":"go"}`)
	p.await(handover.Serving)
	_ = l.Close()
	p.send(`{"type":"main"}`)
	c := dialKept(t, "tcp", address)
	if _, err := io.WriteString(c, "?\n"); err != nil {
		t.Fatal(err)
	}
	var a account
	if err := json.NewDecoder(c.reader).Decode(&a); err != nil || a.Count != 42 {
		t.Errorf("%+v, %v, want 42", a, err)
	}
}
