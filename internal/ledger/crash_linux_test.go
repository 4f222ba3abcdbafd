package ledger_test

import (
	"fmt"
	"io"
	"net"
	"testing"
)

func (c *chain) expect(got string, connections, cut int) {
	c.t.Helper()
	c.expectAnswered(got, connections, cut, 0)
}

func (c *chain) expectAnswered(got string, connections, cut, answered int) {
	c.t.Helper()
	if want := fmt.Sprintf("adopted %d, cut %d, lost 0, dropped false, answered %d", connections, cut, answered); got != want {
		c.t.Errorf("generation %d: %s, want %s", c.generation, got, want)
	}
}

// TestCrash kills the server again and again. Connections at rest go on, and
// those of which a request was read are closed.
func TestCrash(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			c := newChain(t, network, address)
			c.expect(c.start(), 0, 0)
			silent, asked, early, half := c.dial(), c.dial(), c.dial(), c.dial()
			asked.ask("1 1")
			asked.ask("1 2")
			half.send("half")
			half.awaitHalf()
			for generation := 2; generation <= 4; generation++ {
				c.settle(silent, asked, early)
				c.kill()
				early.send("sent while nobody is there")
				want := 0
				if generation == 2 {
					want = 1
				}
				c.expect(c.start(), 3, want)
				early.expect(fmt.Sprint(generation, " 1"))
				asked.ask(fmt.Sprint(generation, " 1"))
			}
			half.ended()
			silent.ask("4 1")
			silent.send("close")
			silent.ended() // although the queue has a duplicate
			asked.ask("4 2")
			c.kill()
			c.forget()
			asked.ended()
			early.ended()
		})
	}
}

// TestRequestInTwo kills the server when a request is half there: read, or not.
func TestRequestInTwo(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	c.expect(c.start(), 0, 0)
	a := c.dial()
	c.settle(a)
	c.kill()
	if _, err := a.Write([]byte("on")); err != nil {
		t.Fatal(err)
	}
	c.expect(c.start(), 1, 0)
	a.expect("2 1") // the server takes it for a line
	a.send("half")
	a.awaitHalf()
	c.kill()
	c.expect(c.start(), 0, 1)
	a.ended()
}

// TestClientEnds has clients close their side while nobody is there, with and
// without a request before that.
func TestClientEnds(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	c.expect(c.start(), 0, 0)
	quiet, asks, reset := c.dial(), c.dial(), c.dial()
	asks.ask("1 1")
	c.settle(quiet, asks, reset)
	c.kill()
	closeWrite(t, quiet)
	asks.send("?")
	closeWrite(t, asks)
	if err := reset.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = reset.Close()
	got := c.start()
	c.expect(got, 2, 1)
	asks.expect("2 1")
	asks.ended()
	quiet.ended()
	last := c.dial()
	c.settle(last)
	c.kill()
	c.expect(c.start(), 1, 0)
	last.ask("3 1")
}

// awaitHalf waits until the server is at the request.
func (c *client) awaitHalf() {
	c.t.Helper()
	got := make([]byte, 2)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "ha" {
		c.t.Fatalf("%q, %v", got, err)
	}
}

func closeWrite(t *testing.T, c *client) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// TestCrashLoop has processes die as soon as they can. At last everything is
// closed.
func TestCrashLoop(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	c.young = true
	_ = c.start()
	a := c.dial()
	dropped := false
	for range 20 {
		c.kill()
		if got := c.start(); got == "adopted 0, cut 1, lost 0, dropped true, answered 0" {
			dropped = true
			break
		}
	}
	if !dropped {
		t.Fatal("connections are never dropped")
	}
	a.ended()
}

// TestKilledWhileAdopting kills the server at any moment of its start.
func TestKilledWhileAdopting(t *testing.T) {
	c := newChain(t, "tcp", "127.0.0.1:0")
	_ = c.start()
	clients := make([]*client, 700)
	for i := range clients {
		clients[i] = c.dial()
	}
	c.settle(clients...)
	c.kill()
	const kills = 3
	for i := range kills {
		c.launch()
		clients[i].ask(fmt.Sprint(c.generation, " 1")) // in the middle of it
		c.kill()
	}
	t.Log(c.start())
	for _, cl := range clients[kills:] {
		cl.ask(fmt.Sprint(c.generation, " 1"))
	}
}
