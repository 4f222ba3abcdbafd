package lifecycle_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// putAround returns l, with around it what HEIRLOOM_TEST_AROUND says.
func putAround(l net.Listener) net.Listener {
	for _, kind := range strings.Fields(os.Getenv("HEIRLOOM_TEST_AROUND")) {
		switch kind {
		case "limit":
			l = &limitListener{Listener: l, slots: make(chan struct{}, 4), done: make(chan struct{})}
		case "count":
			l = &around{l, func(c net.Conn) net.Conn { return &countConn{Conn: c} }}
		case "shown":
			l = &around{l, func(c net.Conn) net.Conn { return &shownConn{bare{c}} }}
		case "hidden":
			l = &around{l, func(c net.Conn) net.Conn { return &bare{c} }}
		case "header":
			l = &around{l, func(c net.Conn) net.Conn { return &headerConn{Conn: c, reader: bufio.NewReader(c)} }}
		case "proxy":
			l = &around{l, func(c net.Conn) net.Conn { return &proxyConn{Conn: c} }}
		case "other":
			l = &around{l, func(c net.Conn) net.Conn { return &otherConn{c} }}
		}
	}
	return l
}

// An around is a listener that puts something around each connection.
type around struct {
	net.Listener
	put func(net.Conn) net.Conn
}

func (l *around) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.put(c), nil
}

// A limitListener is like LimitListener of golang.org/x/net/netutil.
type limitListener struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	case l.slots <- struct{}{}:
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, release: func() { <-l.slots }}, nil
}

func (l *limitListener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.done) })
	return err
}

type limitConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// A countConn says at its Close how many bytes it has read.
type countConn struct {
	net.Conn
	n int
}

func (c *countConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n += n
	return n, err
}

func (c *countConn) Close() error {
	time.Sleep(20 * time.Millisecond) // so that a process which does not wait for it ends before
	fmt.Fprintf(os.Stderr, "counted %d bytes\n", c.n)
	return c.Conn.Close()
}

type conn = net.Conn

// A bare connection does not show what is under it: that is not exported.
type bare struct{ conn }

// A shownConn does.
type shownConn struct{ bare }

func (c *shownConn) NetConn() net.Conn { return c.conn }

// A headerConn reads a line of its own before the first request, and ahead.
type headerConn struct {
	net.Conn
	reader *bufio.Reader
	once   sync.Once
}

func (c *headerConn) Read(p []byte) (int, error) {
	c.once.Do(func() { _, _ = c.reader.ReadString('\n') })
	return c.reader.Read(p)
}

// A proxyConn waits for a line of its own, byte by byte, when it is asked for
// an address.
type proxyConn struct {
	net.Conn
	once sync.Once
}

func (c *proxyConn) readLine() {
	c.once.Do(func() {
		for b := make([]byte, 1); b[0] != '\n'; {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	})
}

func (c *proxyConn) RemoteAddr() net.Addr {
	c.readLine()
	return c.Conn.RemoteAddr()
}

// An otherConn says that its client is another.
type otherConn struct{ net.Conn }

func (otherConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// An aroundTest is what a program has put around its listener.
type aroundTest struct {
	around, network string
	moves, isLogged bool
}

// TestAround reloads a program that has put something around its listener.
func TestAround(t *testing.T) {
	eachAround(t, []aroundTest{
		{around: "limit", network: "tcp", moves: true},
		{around: "count", network: "tcp", moves: true},
		{around: "shown", network: "tcp", moves: true},
		{around: "shown limit count", network: "tcp", moves: true},
		{around: "hidden", network: "tcp", isLogged: true},
		{around: "limit hidden limit", network: "tcp", isLogged: true},
		{around: "header", network: "tcp"},
		{around: "other", network: "tcp"},
		{around: "limit", network: "unix", isLogged: true},
	}, startLocal, func(d *local, around string) *client {
		c := d.dial()
		if around == "header" {
			c.say("header\n")
		}
		return c
	}, func(*local, aroundTest) {})
}

// eachAround reloads such programs, which start starts and dial connects to.
// check looks at one whose connections have had requests.
func eachAround(t *testing.T, tests []aroundTest, start func(t *testing.T, network string, env ...string) *local,
	dial func(d *local, around string) *client, check func(d *local, test aroundTest)) {
	for _, test := range tests {
		for _, replace := range []string{"beside", "in-place"} {
			t.Run(test.around+"-"+test.network+"-"+replace, func(t *testing.T) {
				t.Parallel()
				d := start(t, test.network, "HEIRLOOM_TEST_AROUND="+test.around,
					"HEIRLOOM_TEST_REPLACE="+replace, "HEIRLOOM_TEST_LINGER=1h", "HEIRLOOM_TEST_DRAIN=3h")
				first := dial(d, test.around)
				first.ask("/")
				first.answer(1)
				_ = first.Close() // its slot is free again
				idle, twice, busy := dial(d, test.around), dial(d, test.around), dial(d, test.around)
				for _, c := range []*client{idle, twice, twice, busy} {
					c.ask("/")
					c.answer(1)
				}
				check(d, test)
				d.underWay(busy, "/?until=go")
				reloaded := make(chan error, 1)
				go func() {
					_, err := d.command("reload")
					reloaded <- err
				}()
				d.eventually("the drain", func() bool { return strings.Contains(d.logged(), "draining: connections=") })
				d.write("go", "")
				checkAround(t, test.moves, idle, twice, busy)
				if err := <-reloaded; err != nil {
					t.Error(err)
				}
				d.awaitAlone()
				fresh := dial(d, test.around)
				fresh.ask("/")
				fresh.answer(2)
				says := strings.Count(d.logged(), "the listener was wrapped: its connections do not move: name=http")
				if test.isLogged && says != 2 || !test.isLogged && says != 0 { // once in each generation
					t.Errorf("%d times in the log that connections do not move", says)
				}
				if test.around == "count" && strings.Count(d.logged(), "counted ") < 4 {
					t.Errorf("what has moved was not closed here:\n%s", d.logged())
				}
			})
		}
	}
}

// checkAround has each connection answered by the next generation if it moves,
// and if not by this one, once, as the last time. One that asks before it is
// known to be at rest is answered by this one as well, and then moves.
func checkAround(t *testing.T, moves bool, idle, twice, busy *client) {
	t.Helper()
	if busy.answer(1) { // the handler began before the drain
		t.Error("the client was told to close by a response that was under way")
	}
	for _, c := range []*client{idle, twice, busy} {
		if !moves {
			c.ask("/")
			if !c.answer(1) {
				t.Error("the client was not told to close")
			}
			c.closed()
			continue
		}
		for range 3 {
			if err := eventually(func() bool {
				c.ask("/")
				generation, closes := c.anyAnswer()
				if closes {
					t.Error("the client was told to close")
				}
				return generation == 2
			}); err != nil {
				t.Error("the connection does not move")
			}
		}
	}
}

// TestStreamAround has streams move, from what counts and limits them.
func TestStreamAround(t *testing.T) {
	t.Parallel()
	for around, moves := range map[string]bool{"limit count": true, "hidden": false, "header": false} {
		d := startEcho(t, "tcp", "HEIRLOOM_TEST_AROUND="+around)
		c := d.dial()
		if around == "header" {
			c.say("header\n")
		}
		c.say("hello\n")
		c.expect("1 hello")
		c.sayHalf("half")
		d.reload()
		if !moves {
			c.expect(`1 unsupported, with "half"`)
			c.closed()
			continue
		}
		d.awaitAlone()
		c.say(" and half\n")
		c.expect("2 half and half")
	}
}
