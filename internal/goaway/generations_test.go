package goaway_test

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A dynasty is one address at which servers follow each other, as processes do
// that pass on a listening socket.
type dynasty struct {
	t       testing.TB
	l       net.Listener
	secure  bool
	handler http.Handler

	mu      sync.Mutex
	current *server
	inlet   *inlet
	accept  chan struct{} // closed when the accept loop has ended
	streams byClient      // that clients have opened, if not secure
	dropped byClient      // connections, by net/http: see Write
}

// Write is for what servers log. On a machine that stalls for two seconds
// net/http takes a connection for one without SETTINGS, and drops it with the
// streams that it has begun (firstSettingsTimeout in h2_bundle.go).
func (d *dynasty) Write(line []byte) (int, error) {
	if _, client, found := strings.Cut(string(line), "timeout waiting for SETTINGS frames from "); found {
		d.dropped.add(strings.TrimSpace(client))
	}
	return len(line), nil
}

// byClient counts by the address of a client's connection.
type byClient struct {
	mu sync.Mutex
	of map[string]int
}

func (b *byClient) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of = nil
}

func (b *byClient) add(client string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = make(map[string]int)
	}
	b.of[client]++
}

// counts returns a copy.
func (b *byClient) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.of)
}

// total returns the sum, and that of the connections that are not dropped.
func (b *byClient) total(dropped map[string]int) (all, kept int) {
	for client, n := range b.counts() {
		if all += n; dropped[client] == 0 {
			kept += n
		}
	}
	return all, kept
}

// inlet is the listener of one generation.
type inlet struct {
	net.Listener
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (i *inlet) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

func (i *inlet) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

func found(t testing.TB, secure bool, handler http.Handler) *dynasty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dynasty{t: t, l: l, secure: secure, handler: handler, accept: make(chan struct{})}
	d.succeed()
	go d.run()
	t.Cleanup(d.end)
	return d
}

func (d *dynasty) run() {
	defer close(d.accept)
	for {
		c, err := d.l.Accept()
		if err != nil {
			return
		}
		for given := false; !given; {
			d.mu.Lock()
			in := d.inlet
			d.mu.Unlock()
			select {
			case in.conns <- d.watched(c):
				given = true
			case <-in.done:
			}
		}
	}
}

// A watched connection counts the streams that its client opens.
type watched struct {
	net.Conn
	d    *dynasty
	skip int // bytes until the next frame
	head []byte
}

func (d *dynasty) watched(c net.Conn) net.Conn {
	if d.secure {
		return c
	}
	return &watched{Conn: c, d: d, skip: len(clientPreface)}
}

func (c *watched) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for p := p[:n]; len(p) > 0; {
		k := min(c.skip, len(p))
		c.skip, p = c.skip-k, p[k:]
		k = min(9-len(c.head), len(p))
		c.head, p = append(c.head, p[:k]...), p[k:]
		if len(c.head) == 9 {
			if c.head[3] == typeHeaders {
				c.d.streams.add(c.RemoteAddr().String())
			}
			c.skip, c.head = int(c.head[0])<<16|int(c.head[1])<<8|int(c.head[2]), nil
		}
	}
	return n, err
}

// succeed starts the next generation and drains the one before.
func (d *dynasty) succeed() {
	next := newServer(d.secure, d.handler)
	next.ErrorLog = log.New(d, "", 0)
	next.prepare(d.t)
	in := &inlet{Listener: d.l, conns: make(chan net.Conn), done: make(chan struct{})}
	next.serve(in)
	d.mu.Lock()
	last, lastInlet := d.current, d.inlet
	d.current, d.inlet = next, in
	d.mu.Unlock()
	if last != nil {
		_ = lastInlet.Close()
		<-last.served
		last.Drain(long)
		last.listener.awaitNone(d.t)
		_ = last.Close()
	}
}

func (d *dynasty) end() {
	_ = d.l.Close()
	<-d.accept
	_ = d.current.Close()
	<-d.current.served
}

func (d *dynasty) url(path string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current.url(path)
}

// TestTransport lets net/http's client post while generations follow each other.
// It repeats what GOAWAY keeps it from sending, and would repeat, unseen, what a
// server drops: each request whose headers it has written must arrive. But for
// the rare one that it writes after it has acknowledged GOAWAY.
func TestTransport(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		var arrived, wrote, sent atomic.Int64
		d := found(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived.Add(1)
			_, _ = io.Copy(w, r.Body)
		}))
		tr := transport(t, secure)
		trace := &httptrace.ClientTrace{WroteHeaders: func() { wrote.Add(1) }}
		ctx, cancel := context.WithCancel(httptrace.WithClientTrace(context.Background(), trace))
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				for ctx.Err() == nil {
					sent.Add(1)
					post(context.WithoutCancel(ctx), t, tr, d.url("/"))
				}
			})
		}
		for range 30 {
			for mark := sent.Load() + 50; sent.Load() < mark && !t.Failed(); {
				sent.Add(1)
				post(ctx, t, tr, d.url("/"))
			}
			d.succeed()
		}
		cancel()
		workers.Wait()
		if arrived.Load() != sent.Load() || wrote.Load() > sent.Load()+3 {
			t.Errorf("%d requests, %d written, %d arrived", sent.Load(), wrote.Load(), arrived.Load())
		}
		t.Logf("%d requests", sent.Load())
	})
}

// post sends a body, and checks that it comes back.
func post(ctx context.Context, t testing.TB, tr *http.Transport, url string) {
	body := strings.Repeat("x", 20000)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	if got, err := io.ReadAll(res.Body); string(got) != body || err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %d bytes, %v", res.Status, len(got), err)
	}
}
