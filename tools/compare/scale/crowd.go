package scale

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A crowd is clients that each keep a connection and say nothing.
type crowd struct {
	conns []*held
}

// A held is the connection of one client.
type held struct {
	net.Conn
	reader *bufio.Reader
}

// dialling is how many clients connect, or ask, at a time.
const dialling = 8

// gather has n clients connect and make one request each. The crowd that came
// so far is returned with an error.
func gather(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), secure bool, n int) (*crowd, error) {
	c := &crowd{conns: make([]*held, n)}
	err := inParallel(n, func(i int) error {
		nc, err := dial(ctx, "tcp", address)
		if err != nil {
			return err
		}
		if secure {
			nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) // it is ours
		}
		c.conns[i] = &held{nc, bufio.NewReaderSize(nc, 256)}
		_, err = c.conns[i].ask(ctx)
		return err
	})
	return c, err
}

// inParallel calls f with 0 to n-1, until it fails.
func inParallel(n int, f func(i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, dialling)
	for range dialling {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					next.Store(int64(n))
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// ask makes a request, once, and returns the generation that has answered.
func (h *held) ask(ctx context.Context) (generation int, err error) {
	if limit, ok := ctx.Deadline(); ok {
		if err := h.SetDeadline(limit); err != nil {
			return 0, err
		}
	}
	if _, err := io.WriteString(h, "GET / HTTP/1.1\r\nHost: "+address+"\r\n\r\n"); err != nil {
		return 0, err
	}
	length := 0
	for line := ""; line != "\r\n"; {
		if line, err = h.reader.ReadString('\n'); err != nil {
			return 0, err
		}
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &length); err == nil && length > 1<<10 {
			return 0, fmt.Errorf("an answer of %d bytes", length)
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(h.reader, body); err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(body), "hello from generation %d ", &generation); err != nil {
		return 0, fmt.Errorf("answer %q: %w", body, err)
	}
	return generation, h.SetDeadline(time.Time{})
}

// check has all ask once more, and counts those that got no answer, or one of
// another generation.
func (c *crowd) check(ctx context.Context, generation int) (broken int, example error) {
	var mu sync.Mutex
	_ = inParallel(len(c.conns), func(i int) error {
		got, err := c.conns[i].ask(ctx)
		if err == nil && got != generation {
			err = fmt.Errorf("generation %d answers, want %d", got, generation)
		}
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			broken++
			example = err
		}
		return nil
	})
	return broken, example
}

func (c *crowd) leave() {
	for _, h := range c.conns {
		if h != nil {
			_ = h.Close()
		}
	}
}
