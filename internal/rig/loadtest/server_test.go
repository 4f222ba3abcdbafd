package loadtest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// counter counts events of several kinds and lets tests wait for them.
type counter struct {
	mu      sync.Mutex
	counts  map[string]int
	changed chan struct{}
}

func newCounter() *counter {
	return &counter{counts: make(map[string]int), changed: make(chan struct{})}
}

func (c *counter) add(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *counter) get(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[kind]
}

// wait returns when one of the kinds has happened as often as wanted.
func (c *counter) wait(t testing.TB, wanted map[string]int) {
	t.Helper()
	began := time.Now()
	timeout := time.After(patience.Of(time.Minute))
	for {
		c.mu.Lock()
		changed := c.changed
		for kind, n := range wanted {
			if c.counts[kind] >= n {
				c.mu.Unlock()
				return
			}
		}
		c.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			t.Errorf("after %v none of %v has happened", time.Since(began), wanted)
			return
		}
	}
}

// goodServer answers as the package comment demands. Its counter counts
// requests by class.
type goodServer struct {
	*counter
	*http.Server
	address    string
	generation atomic.Int64
}

func startGoodServer(t testing.TB, network, address string) *goodServer {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &goodServer{counter: newCounter(), address: listener.Addr().String()}
	s.generation.Store(1)
	s.Server = &http.Server{Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return s
}

func (s *goodServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	nap, _ := time.ParseDuration(r.FormValue("d"))
	time.Sleep(nap)
	_, _ = io.WriteString(w, rightBody(int(s.generation.Load()), r, read))
	s.add(classOf(r))
}

func rightBody(generation int, r *http.Request, read int64) string {
	tail := ""
	if r.Method != http.MethodGet {
		tail = fmt.Sprintf(" read %d bytes", read)
	}
	return fmt.Sprintf("hello from generation %d (pid 4711, version 1.2 (test))%s\n", generation, tail)
}

func classOf(r *http.Request) string {
	_, rest, _ := strings.Cut(r.UserAgent(), "/")
	class, _, _ := strings.Cut(rest, "/")
	return class
}

// rawServer serves each connection by a function of the test's. Its counter
// counts "accepted" and "served".
type rawServer struct {
	*counter
	listener net.Listener
	ctx      context.Context // ends when the server is closed
	serve    func(*rawConn)
	handlers sync.WaitGroup
}

func startRawServer(t testing.TB, serve func(*rawConn)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &rawServer{counter: newCounter(), listener: listener, ctx: ctx, serve: serve}
	s.handlers.Go(s.accept)
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		s.handlers.Wait()
	})
	return s
}

func (s *rawServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.add("accepted")
		s.handlers.Go(func() {
			unblock := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
			defer unblock()
			defer conn.Close()
			s.serve(&rawConn{Conn: conn, server: s, reader: bufio.NewReader(conn)})
		})
	}
}

// rawConn is one connection of a rawServer.
type rawConn struct {
	net.Conn
	server *rawServer
	reader *bufio.Reader
	asked  *http.Request // the request read last
	read   int64         // how long its body was
}

// next reads a whole request, giving leave to send the body if asked for.
func (c *rawConn) next() bool { return c.nextHeader() && c.nextBody(1<<40) }

func (c *rawConn) nextHeader() bool {
	var err error
	c.asked, err = http.ReadRequest(c.reader)
	return err == nil
}

func (c *rawConn) nextBody(longest int64) bool {
	if c.asked.Header.Get("Expect") != "" {
		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	var err error
	c.read, err = io.Copy(io.Discard, io.LimitReader(c.asked.Body, longest))
	return err == nil
}

// body is the right body for the request read last.
func (c *rawConn) body() string { return rightBody(1, c.asked, c.read) }

// answer writes an answer with the given body and header lines, after the time
// the request asked for.
func (c *rawConn) answer(body string, lines ...string) {
	nap, _ := time.ParseDuration(c.asked.FormValue("d"))
	time.Sleep(nap)
	c.write(formatAnswer(200, len(body), body, lines...))
}

func (c *rawConn) write(wire string) {
	_, _ = io.WriteString(c, wire)
	c.server.add("served")
}

// giveUp closes the connection, and counts that as "given up".
func (c *rawConn) giveUp() {
	_ = c.Close()
	c.server.add("given up")
}

// hang waits until the client gives up, or the test ends.
func (c *rawConn) hang() { _, _ = io.Copy(io.Discard, c.reader) }

func formatAnswer(status, length int, body string, lines ...string) string {
	lines = append(lines, "")
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), length, strings.Join(lines, "\r\n"), body)
}

// brisk is a target whose pauses are short, so that a test meets many turns
// soon.
func brisk(address string) loadtest.Target {
	return loadtest.Target{
		Address:    address,
		ThinkTime:  time.Millisecond,
		SlowFor:    20 * time.Millisecond,
		IdleFor:    20 * time.Millisecond,
		PauseFor:   2 * time.Millisecond,
		UploadSize: 4096,
	}
}
