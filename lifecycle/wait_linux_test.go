package lifecycle_test

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// isClosed reports whether the server has closed the connection.
func (c *client) isClosed() bool {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := c.reader.ReadByte()
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("%v, want the end of the connection or nothing", err)
	}
	return errors.Is(err, io.EOF)
}

// replaceOften replaces the program more often than a timeout lasts, unless c
// is closed before: a reload takes some time.
func (d *local) replaceOften(c *client, timeout time.Duration) {
	d.t.Helper()
	began := time.Now()
	for generation := 2; time.Since(began) < 5*timeout; generation++ {
		d.reload()
		d.eventually("the next generation", func() bool { s := d.status(); return s.Generation == generation && s.State == "ready" })
		if c.isClosed() {
			return
		}
	}
	d.t.Errorf("a connection is open %v after it should have timed out in %v", time.Since(began), timeout)
}

// TestIdleTimeoutMoves keeps moving an idle connection: its IdleTimeout does
// not start anew.
func TestIdleTimeoutMoves(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			timeout := patience.Of(2 * time.Second)
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_IDLE="+timeout.String(), "HEIRLOOM_TEST_REPLACE="+replace)
			c := d.dial()
			c.ask("/")
			c.answer(1)
			d.replaceOften(c, timeout)
		})
	}
}

// TestHeaderTimeoutMoves keeps moving a connection on which nothing was sent.
// There is no IdleTimeout, and it is not idle: it is new, since its Accept.
func TestHeaderTimeoutMoves(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			timeout := patience.Of(3 * time.Second)
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_HEADER="+timeout.String(), "HEIRLOOM_TEST_REPLACE="+replace)
			c := d.dial()
			d.eventually("the connection to be accepted", func() bool { return d.status().Connections.New == 1 })
			d.replaceOften(c, timeout)
		})
	}
}

// TestHeaderTimeoutMovesOnce is the same with a single move: nothing but the
// timeout can close the connection then.
func TestHeaderTimeoutMovesOnce(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_HEADER="+span(3*time.Second))
	c := d.dial()
	d.eventually("the connection to be accepted", func() bool { return d.status().Connections.New == 1 })
	d.reload()
	c.closed()
}

// staysUnanswered waits until a request has been on the way for so long. A
// process says that it drains before the connections have left it, so it may
// answer one more: then the client asks again.
func (c *client) staysUnanswered(long time.Duration) {
	c.t.Helper()
	for {
		_ = c.SetReadDeadline(time.Now().Add(long))
		_, err := c.reader.Peek(1)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		c.answer(1)
		c.ask("/")
	}
}

// TestRequestOnTheWay has clients send requests while their connections are on
// the way to the next program, for longer than both timeouts: they came in
// time, and are answered.
func TestRequestOnTheWay(t *testing.T) {
	t.Parallel()
	timeout := patience.Of(5 * time.Second)
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_IDLE="+timeout.String(), "HEIRLOOM_TEST_HEADER="+timeout.String(),
		"HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_DRAIN=3h")
	busy := d.hold()
	idle := d.dial()
	idle.ask("/")
	idle.answer(1)
	fresh := d.dial()
	d.eventually("the connections to be accepted", func() bool { n := d.status().Connections; return n.New == 1 && n.Idle >= 1 })
	d.signal(syscall.SIGHUP)
	d.drains()
	idle.ask("/")
	fresh.ask("/")
	idle.staysUnanswered(timeout + time.Second)
	fresh.staysUnanswered(timeout + time.Second)
	d.release()
	busy.answer(1)
	idle.answer(2)
	fresh.answer(2)
}

// TestTimeoutsOfMovedConnections checks that a connection that moved is idle to
// the successor, and not new.
func TestTimeoutsOfMovedConnections(t *testing.T) {
	t.Parallel()
	header := patience.Of(3 * time.Second)
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_HEADER="+header.String(), "HEIRLOOM_TEST_IDLE="+(4*header).String())
	kept, idle, slow, pieces := d.dial(), d.dial(), d.dial(), d.dial()
	for _, c := range []*client{kept, idle, slow, pieces} {
		c.ask("/")
		c.answer(1)
	}
	d.reload()
	d.eventually("the connections to move", func() bool { return d.status().Connections.New == 4 })
	time.Sleep(header * 5 / 4) // longer than ReadHeaderTimeout, shorter than IdleTimeout
	kept.ask("/")
	kept.answer(2)
	if _, err := slow.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := pieces.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(header / 40) // within ReadHeaderTimeout
	if _, err := pieces.Write([]byte("Host: test\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	pieces.answer(2)
	slow.closedAfter(header)     // ReadHeaderTimeout counts from the first byte
	idle.closedAfter(4 * header) // IdleTimeout
}
