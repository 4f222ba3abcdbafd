package lifecycle_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
)

// dialAround makes a connection of TLS through what is around the listener.
func (d *local) dialAround(around string) *client {
	d.t.Helper()
	nc, err := net.Dial(d.network, d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	if around == "header" {
		if _, err := io.WriteString(nc, "header\n"); err != nil {
			d.t.Fatal(err)
		}
	}
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := tc.Handshake(); err != nil {
		d.t.Fatal(err)
	}
	return &client{d.t, tc, bufio.NewReader(tc)}
}

// TestMoveTLSAround is TestAround with TLS: sessions move as far as what the
// program has put around its listener lets plain connections move.
func TestMoveTLSAround(t *testing.T) {
	eachAround(t, []aroundTest{
		{around: "limit", network: "tcp", moves: true},
		{around: "count", network: "tcp", moves: true},
		{around: "shown limit count", network: "tcp", moves: true},
		{around: "limit hidden limit", network: "tcp", isLogged: true},
		{around: "header", network: "tcp"},
		{around: "other", network: "tcp"},
		{around: "limit", network: "unix", isLogged: true},
	}, startMovingTLS, (*local).dialAround, func(d *local, test aroundTest) {
		if n := d.status().TLS.Stayed["wrapped"]; test.isLogged != (n > 0) {
			d.t.Errorf("%d connections are said to be wrapped", n)
		}
	})
}

// TestMoveTLSAroundCount has a drain count what cannot move, once each: a
// connection whose header is lost, and one whose address is another.
func TestMoveTLSAroundCount(t *testing.T) {
	for _, around := range []string{"header", "other"} {
		d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_AROUND="+around, "HEIRLOOM_TEST_LINGER=1ms", "HEIRLOOM_TEST_DRAIN=3h")
		idle, busy, last := d.dialAround(around), d.dialAround(around), d.dialAround(around)
		for _, c := range []*client{idle, busy, last} {
			c.ask("/")
			c.answer(1)
		}
		d.underWay(busy, "/?until=go")
		d.underWay(last, "/?until=end")
		d.signal(syscall.SIGTERM)
		idle.closed()
		d.write("go", "")
		busy.answer(1)
		busy.closed()
		if s := d.status().TLS; s.Stayed["wrapped"] != 2 || len(s.Stayed) != 1 {
			t.Errorf("%s: status %+v", around, s)
		}
		d.write("end", "")
		last.answer(1)
	}
}

// TestTLSAroundEnds has clients of TLS come and go, through what is around the
// listener. A drain then waits for none of them.
func TestTLSAroundEnds(t *testing.T) {
	for _, around := range []string{"limit", "hidden"} {
		for _, move := range []string{"", "yes"} {
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS="+move, "HEIRLOOM_TEST_AROUND="+around, "HEIRLOOM_TEST_DRAIN=3h")
			c := d.dialTLS()
			c.ask("/")
			c.answer(1)
			_ = c.Close()
			d.eventually("the connection to end", func() bool { return d.status().Connections.Idle == 0 })
			d.signal(syscall.SIGTERM)
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
		}
	}
}
