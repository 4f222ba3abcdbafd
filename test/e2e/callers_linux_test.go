package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// callerLimit is how long a caller waits for its answer, as package patience
// stretches it.
const callerLimit = 30 * time.Second

// Callers are clients with a connection each that speak only when a test says
// so, and so are idle while it wants them to be.
type callers struct {
	t     *testing.T
	conns []net.Conn
}

// call opens n connections and has each answered once.
func call(t *testing.T, target loadtest.Target, n int) *callers {
	t.Helper()
	c := connect(t, target, n)
	c.ask()
	return c
}

// connect opens n connections.
func connect(t *testing.T, target loadtest.Target, n int) *callers {
	t.Helper()
	network := target.Network
	if network == "" {
		network = "tcp"
	}
	c := &callers{t: t, conns: make([]net.Conn, n)}
	t.Cleanup(c.hangUp)
	c.each(func(i int) (err error) {
		ctx, cancel := patience.Context(context.Background(), callerLimit)
		defer cancel()
		c.conns[i], err = target.Dial(ctx, network, target.Address)
		return err
	})
	return c
}

// ask has each connection carry a request and its answer, and returns the
// lowest generation that answered and the highest.
func (c *callers) ask() (lowest, highest int) {
	c.t.Helper()
	c.send()
	return c.receive()
}

// send sends a request over each connection.
func (c *callers) send() {
	c.t.Helper()
	c.write("GET / HTTP/1.1\r\nHost: hello\r\n\r\n")
}

func (c *callers) write(text string) {
	c.t.Helper()
	c.each(func(i int) error {
		_ = c.conns[i].SetDeadline(patience.Deadline(callerLimit))
		_, err := io.WriteString(c.conns[i], text)
		return err
	})
}

// receive reads an answer from each connection.
func (c *callers) receive() (lowest, highest int) {
	c.t.Helper()
	generations := make([]int, len(c.conns))
	c.each(func(i int) (err error) {
		generations[i], err = answer(c.conns[i])
		return err
	})
	lowest = generations[0]
	for _, g := range generations {
		lowest, highest = min(lowest, g), max(highest, g)
	}
	return lowest, highest
}

// expect asks, and wants each answer to be of one generation.
func (c *callers) expect(generation int) {
	c.t.Helper()
	if low, high := c.ask(); low != generation || high != generation {
		c.t.Errorf("generations %d to %d have answered, want %d", low, high, generation)
	}
}

// closed waits until every connection has been closed by the other side.
func (c *callers) closed() {
	c.t.Helper()
	deadline := patience.Deadline(callerLimit)
	c.each(func(i int) error {
		_ = c.conns[i].SetReadDeadline(deadline)
		n, err := c.conns[i].Read(make([]byte, 1))
		if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
			return nil
		}
		return fmt.Errorf("not closed: %d bytes read, %w", n, err)
	})
}

func (c *callers) hangUp() {
	for _, nc := range c.conns {
		if nc != nil {
			_ = nc.Close()
		}
	}
}

// each calls f for every connection, a few at a time, and fails the test with
// the number and the first of the errors.
func (c *callers) each(f func(i int) error) {
	c.t.Helper()
	const workers = 8
	var group sync.WaitGroup
	errs := make([]error, len(c.conns))
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(c.conns); i += workers {
				errs[i] = f(i)
			}
		})
	}
	group.Wait()
	failed, first := 0, error(nil)
	for _, err := range errs {
		if err == nil {
			continue
		}
		if failed++; first == nil {
			first = err
		}
	}
	if failed > 0 {
		c.t.Fatalf("%d of %d connections failed, the first with: %v", failed, len(c.conns), first)
	}
}

// answer reads one answer and returns the generation that gave it.
func answer(nc net.Conn) (int, error) {
	r := bufio.NewReaderSize(nc, 512)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK || response.Close || r.Buffered() > 0 {
		return 0, fmt.Errorf("status %s, close %t, body %q and %d bytes", response.Status, response.Close, body, r.Buffered())
	}
	generation := 0
	if _, err := fmt.Sscanf(string(body), "hello from generation %d ", &generation); err != nil {
		return 0, fmt.Errorf("body %q: %w", body, err)
	}
	return generation, nil
}
