package lifecycle_test

import (
	"io"
	"syscall"
	"testing"
)

const postOfThree = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"

// A blank is how a client sends blank lines between its requests.
type blank struct{ name, before, with, after string }

var blanks = []blank{
	{"first", "", "", "\r\n"},
	{"after a POST", postOfThree, "", "\r\n"},
	{"with a POST", "", postOfThree + "\r\n", ""},
	{"half with a POST", "", postOfThree + "\r", "\n"},
	{"after a GET", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", "", "\r\n"},
	{"many", postOfThree, "", "\r\n\n\r\r\n\r\n\r\n\r\n\r\n"},
}

// send has c end in the middle of a blank line.
func (b blank) send(c *client, generation int) {
	c.t.Helper()
	for _, segment := range []string{b.before, b.with} {
		if segment != "" {
			c.write(segment)
			c.answer(generation)
		}
	}
	c.write(b.after)
}

func (c *client) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// TestBlankLines reloads while clients have sent a blank line and nothing else:
// they are at rest, move, and are served as if they had not.
func TestBlankLines(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h")
	clients := make([]*client, len(blanks))
	for i := range clients {
		clients[i] = d.dial()
	}
	for generation := 1; generation <= 3; generation++ {
		for i, b := range blanks {
			b.send(clients[i], generation)
		}
		d.reload()
		d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
		for i, b := range blanks {
			clients[i].ask("/")
			if clients[i].answer(generation + 1) {
				t.Errorf("%s: the connection closes", b.name)
			}
		}
	}
}

// TestBlankLinesAfterMove has connections move first: the successor does not
// know what was asked for before.
func TestBlankLinesAfterMove(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h")
	c := d.dial()
	c.write(postOfThree)
	c.answer(1)
	d.reload()
	d.awaitAlone()
	c.write("\r\n")
	c.ask("/")
	c.answer(2)
}

// TestBlankLinesStop stops: such clients are idle.
func TestBlankLinesStop(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_LINGER=100ms")
	clients := make([]*client, len(blanks))
	for i, b := range blanks {
		clients[i] = d.dial()
		b.send(clients[i], 1)
	}
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}

// TestBlankLinesEndless stops while a client sends nothing but blank lines, as
// fast as it can.
func TestBlankLinesEndless(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_LINGER=100ms")
	c := d.dial()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := io.WriteString(c, "\r\n\r\n\r\n\r\n"); err != nil {
				return
			}
		}
	}()
	d.signal(syscall.SIGTERM)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
	<-ended
}

// TestBlankLinesIdleTimeout checks that blank lines do not put off IdleTimeout.
func TestBlankLinesIdleTimeout(t *testing.T) {
	t.Parallel()
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_IDLE=300ms")
	c := d.dial()
	c.write(postOfThree)
	c.answer(1)
	for {
		if _, err := io.WriteString(c, "\r\n"); err != nil {
			break
		}
	}
}
