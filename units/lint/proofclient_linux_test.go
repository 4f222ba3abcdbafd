package lint_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// patience is how long clients wait. It is over only where something is wrong.
func (s *scene) patience() time.Duration {
	return cmp.Or(s.limit, max(patience.Of(30*time.Second), 30*second))
}

// within has clients that come wait for less where the proof wants them to wait
// in vain: no longer on a slow machine, since nothing is to come, and systemd and
// the daemon have limits of their own. Where it does not, an answer may take as
// long as it takes.
func (s *scene) within(limit time.Duration) *scene {
	for _, vain := range []string{"silence", "no answer", "not all"} {
		if strings.Contains(s.want(), vain) {
			s.limit = limit
		}
	}
	return s
}

// longerThan is a limit that is to run out where that is what the proof wants
// to see. Where it is not, nothing is to depend on how slow the machine is.
func (s *scene) longerThan(limit time.Duration, wanted string) time.Duration {
	if s.want() == wanted {
		return limit
	}
	return s.patience()
}

// A client has one connection and never asks twice.
type client struct {
	conn    net.Conn
	limit   time.Duration // of each request
	r       *bufio.Reader
	err     error  // why there is no connection
	version string // of the program that answered
}

func newClient(conn net.Conn, limit time.Duration) *client {
	return &client{conn: conn, limit: limit, r: bufio.NewReader(conn)}
}

func (c *client) close() { _ = c.conn.Close() }

// connect opens a connection that is kept.
func (s *scene) connect() *client {
	ctx, cancel := context.WithTimeout(context.Background(), s.patience())
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return &client{err: err}
	}
	return c
}

// ask is a request on a connection of its own.
func (s *scene) ask() string {
	c := s.connect()
	answer := c.get()
	s.version = c.version
	return answer
}

// get returns the generation that has answered, as "1", or what happened
// instead.
func (c *client) get() string { return c.request("/").answer() }

// request sends a request.
func (c *client) request(path string) *client {
	return c.send("GET " + path + " HTTP/1.1\r\nHost: proof\r\n\r\n")
}

// send writes something.
func (c *client) send(text string) *client {
	if c.err == nil {
		_ = c.conn.SetDeadline(time.Now().Add(c.limit))
		_, c.err = io.WriteString(c.conn, text)
	}
	return c
}

// begin sends a request whose answer is the client's to bring about, by finish,
// and returns when the server has begun with it.
func (s *scene) begin() *client {
	s.t.Helper()
	c := s.connect().send("POST / HTTP/1.1\r\nHost: proof\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
	if c.err == nil {
		var line string
		line, c.err = c.r.ReadString('\n')
		if c.err == nil && line != "HTTP/1.1 100 Continue\r\n" {
			s.t.Fatalf("began with %q", line)
		}
		_, _ = c.r.ReadString('\n')
	}
	return c
}

// finish lets the request end.
func (c *client) finish() string { return c.send("x").answer() }

// idles has a client be idle for d, or for as long as it takes where the proof
// wants the connection closed.
func (s *scene) idles(c *client, d time.Duration) string {
	if want := s.want(); strings.Contains(want, "closed") || strings.Contains(want, "broken") {
		d = s.patience()
	}
	return c.idle(d)
}

// idle asks for nothing for a while, or until the server has said something: most
// likely that it closes the connection. A slow machine is no reason to be idle
// for longer: the drain closes the connection of a client that is silent for
// seconds.
func (c *client) idle(d time.Duration) string {
	if c.err != nil {
		return trouble(c.err)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	_, err := c.r.Peek(1)
	_ = c.conn.SetReadDeadline(time.Now().Add(c.limit))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "open"
	}
	return "closed"
}

var fromGeneration = regexp.MustCompile(`^hello from generation (\d+) \(pid \d+, version (\S+)\)`)

func (c *client) answer() string {
	if c.err != nil {
		return trouble(c.err)
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return trouble(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return trouble(err)
	}
	if found := fromGeneration.FindSubmatch(body); found != nil {
		c.version = string(found[2])
		return string(found[1])
	}
	return fmt.Sprintf("%s %q", response.Status, body)
}

// trouble is an error in a word.
func trouble(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ENOENT):
		return "no such path"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "broken"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "silence"
	}
	return err.Error()
}
