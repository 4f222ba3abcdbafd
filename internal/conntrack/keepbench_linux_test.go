package conntrack_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// BenchmarkKeep says by what factor the processor is busier with requests on
// kept connections than on others, client and server together. They take turns,
// since no machine is equally fast for long.
func BenchmarkKeep(b *testing.B) { benchmarkKeep(b, false) }

// BenchmarkKeepWritten is that where requests that are lost are to be answered.
func BenchmarkKeepWritten(b *testing.B) { benchmarkKeep(b, true) }

func benchmarkKeep(b *testing.B, written bool) {
	l, err := ledger.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.End)
	kept, plain := newAsker(b, l, written), newAsker(b, nil, false)
	for deadline := time.Now().Add(time.Minute); l.Stats().Kept == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("the connection is not kept")
		}
	}
	for b.Loop() {
		kept.ask(b)
		plain.ask(b)
	}
	b.ReportMetric(float64(kept.used)/float64(plain.used), "kept/plain")
	b.ReportMetric(float64(plain.used.Nanoseconds())/float64(b.N)/turn, "cpu-ns/request")
}

// BenchmarkGap says for how long a process that is killed loses a connection
// although its client has the whole response: from the last write(2) of a
// response until the connection is noted to be at rest, which comes just before
// the next read(2).
func BenchmarkGap(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	timed := &timedListener{Listener: listener}
	gaps := make(chan time.Duration, turn)
	timed.gap = func(d time.Duration) { gaps <- d }
	a := newAskerOf(b, timed, conntrack.Track(timed, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}))
	var all []time.Duration
	for b.Loop() {
		a.ask(b)
		for range turn {
			all = append(all, <-gaps)
		}
	}
	slices.Sort(all)
	for name, share := range map[string]int{"p50-ns": 500, "p99-ns": 990, "p99.9-ns": 999} {
		b.ReportMetric(float64(all[len(all)*share/1000]), name)
	}
}

// A timedListener tells of each response how long it takes from the end of its
// write until the server reads again.
type timedListener struct {
	net.Listener
	gap func(time.Duration)
}

func (l *timedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &timedConn{Conn: nc, gap: l.gap}, nil
}

// A timedConn belongs to the goroutine that serves it, but for reads of a byte:
// by these net/http looks whether the client is still there.
type timedConn struct {
	net.Conn
	gap   func(time.Duration)
	wrote time.Time
}

func (c *timedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.wrote = time.Now()
	return n, err
}

func (c *timedConn) Read(p []byte) (int, error) {
	if len(p) > 1 && !c.wrote.IsZero() {
		c.gap(time.Since(c.wrote))
	}
	return c.Conn.Read(p)
}

// turn is how many requests follow one another.
const turn = 500

// An asker is a client with a connection to a server of its own.
type asker struct {
	conn net.Conn
	r    *bufio.Reader
	used time.Duration // by its requests
}

func newAsker(b *testing.B, l *ledger.Ledger, written bool) *asker {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	tracked := conntrack.Track(listener, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	if written {
		tracked.Registry().CountWritten()
	}
	if l != nil {
		tracked.Registry().KeepIn(l, func(err error) { b.Error(err) })
	}
	return newAskerOf(b, listener, tracked)
}

// newAskerOf has tracked serve the listener.
func newAskerOf(b *testing.B, listener net.Listener, tracked *conntrack.Tracked) *asker {
	go func() { _ = tracked.Serve() }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = listener.Close()
		tracked.Registry().StopKeeping()
	})
	return &asker{conn: conn, r: bufio.NewReader(conn)}
}

func (a *asker) ask(b *testing.B) {
	since := used(b)
	for range turn {
		if _, err := io.WriteString(a.conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		response, err := http.ReadResponse(a.r, nil)
		if err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
	}
	a.used += used(b) - since
}

// used returns the time of a processor that this process has used.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
