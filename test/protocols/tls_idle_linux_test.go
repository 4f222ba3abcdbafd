package protocols_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

var tlsIdle = flag.Int("tls.idle", 0, "how many idle connections TestTLSIdle has of each kind, or 0 for what sdtest.Rounds makes of 5000")

// TestTLSIdle reloads and restarts a service with many idle connections: all
// are kept, and how long that takes with TLS and without is in the log.
func TestTLSIdle(t *testing.T) {
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			s := newTLSSite(t, v)
			crowd := &crowd{tlsSite: s}
			defer crowd.hangUp()
			n := *tlsIdle
			if n == 0 {
				n = sdtest.Rounds(v, 5000)
			}
			plain := crowd.measure(t, "127.0.0.1:8080", nil, n)
			secure := crowd.measure(t, straight.address(), s.tls(), n)
			for i, how := range []string{"reload", "restart"} {
				t.Logf("%s with %d idle connections: %v, and with TLS %v, %.1f times as long", how, n,
					plain[i].Round(time.Millisecond), secure[i].Round(time.Millisecond), secure[i].Seconds()/plain[i].Seconds())
			}
			s.checkManager("tlsd.service")
		})
	}
}

// A crowd is many idle connections.
type crowd struct {
	*tlsSite
	conns      []net.Conn
	generation int
}

// measure returns how long a reload and a restart take: until the next process
// has every connection.
func (c *crowd) measure(t *testing.T, address string, config *tls.Config, n int) (took [2]time.Duration) {
	t.Helper()
	c.hangUp()
	if err := c.dial(address, config, n); err != nil {
		t.Fatal(err)
	}
	c.ask(t)
	for i, how := range []string{"reload", "restart"} {
		c.machine.Wait("the connections to be idle", func() bool { return c.status().Connections.Idle == n })
		began := time.Now()
		c.machine.MustRun("systemctl", how, "tlsd.service")
		c.generation++
		c.machine.Wait("the connections to arrive", func() bool {
			status := c.status()
			here := status.Connections.Idle + status.Connections.New
			if config != nil { // a session is made of a connection that is here already
				here = int(status.TLS.Arrived)
			}
			return len(status.Predecessors) == 0 && here == n
		})
		took[i] = time.Since(began)
		if moves := c.status().TLS; moves.Lost > 0 || len(moves.Stayed) > 0 {
			t.Errorf("after a %s of %d connections, status says %+v", how, n, moves)
		}
		c.ask(t)
	}
	return took
}

// dial opens connections, all from inside at a time.
func (c *crowd) dial(address string, config *tls.Config, n int) error {
	if c.generation == 0 {
		c.generation = 1
	}
	err := c.machine.Inside(func() error {
		for range n {
			nc, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			c.conns = append(c.conns, nc)
		}
		return nil
	})
	if err != nil || config == nil {
		return err
	}
	config.ServerName = "127.0.0.1"
	return c.each(func(i int) error {
		secure := tls.Client(c.conns[i], config)
		c.conns[i] = secure
		ctx, cancel := patience.Context(context.Background(), time.Minute)
		defer cancel()
		return secure.HandshakeContext(ctx)
	})
}

// ask has every connection be answered by the generation.
func (c *crowd) ask(t testing.TB) {
	t.Helper()
	want := fmt.Sprintf("generation %d read", c.generation)
	if err := c.each(func(i int) error {
		nc := c.conns[i]
		_ = nc.SetDeadline(patience.Deadline(time.Minute))
		if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		if err == nil && (!strings.HasPrefix(string(body), want) || response.Close) {
			err = fmt.Errorf("answered %q, to close: %t", body, response.Close)
		}
		return err
	}); err != nil {
		t.Errorf("generation %d: %v", c.generation, err)
	}
}

// each calls f for each connection, some at a time, and returns how those that
// failed did.
func (c *crowd) each(f func(i int) error) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed []error
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					mu.Lock()
					failed = append(failed, fmt.Errorf("connection %d: %w", i, err))
					mu.Unlock()
				}
			}
		})
	}
	for i := range c.conns {
		next <- i
	}
	close(next)
	group.Wait()
	return errors.Join(failed[:min(len(failed), 10)]...)
}

func (c *crowd) hangUp() {
	for _, nc := range c.conns {
		_ = nc.Close()
	}
	c.conns = nil
}
