package tlsmove_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// A mode is one of the ways to serve that are compared.
type mode struct {
	name string
	site *site
}

// newModes serves handler by crypto/tls alone, by a Conn before its first move,
// and by one that has moved.
func newModes(b testing.TB, a *authority, handler http.Handler) []mode {
	config := a.serverConfig()
	standard := &site{t: b, listener: must(net.Listen("tcp", "127.0.0.1:0"))}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(tls.NewListener(standard.listener, config)) })
	b.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return []mode{{"crypto/tls", standard}, {"before", newSite(b, config, handler)}, {"after", newSite(b, config, handler)}}
}

// BenchmarkRequest compares requests, turn by turn on one machine: x-before and
// x-after are how many times as long as with crypto/tls one takes, client and
// all, before a move and after.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{0, 1 << 10, 100 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			a := newAuthority(b)
			body := make([]byte, size)
			modes := newModes(b, a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
			clients := make([]*client, len(modes))
			for i, m := range modes {
				clients[i] = dial(b, m.site, a.clientConfig())
				_ = clients[i].SetDeadline(time.Time{})
				m.site.moving.Store(m.name == "after")
				clients[i].get(b)
				clients[i].get(b)
			}
			if last := modes[len(modes)-1].site; last.moved.Load() == 0 {
				b.Fatalf("nothing has moved: %v", last.reasons)
			} else {
				last.moving.Store(false)
				clients[len(modes)-1].get(b)
			}
			compare(b, modes, 20, func(i int) { clients[i].get(b) })
		})
	}
}

func (c *client) get(b testing.TB) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	response, err := http.ReadResponse(c.buffered, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkHandshake compares handshakes in the same way.
func BenchmarkHandshake(b *testing.B) {
	a := newAuthority(b)
	modes := newModes(b, a, echo)[:2]
	compare(b, modes, 1, func(i int) {
		c, err := tls.Dial("tcp", modes[i].site.Addr().String(), a.clientConfig())
		if err != nil {
			b.Fatal(err)
		}
		wrapped := &client{c, bufio.NewReader(c)}
		wrapped.get(b)
		_ = c.Close()
	})
}

// compare has the modes take turns of some operations each, and reports how the
// sums of the faster halves of their turns compare with those of the first, and
// how many objects an operation allocates more.
func compare(b *testing.B, modes []mode, turn int, do func(int)) {
	times := make([][]time.Duration, len(modes))
	allocs := make([]uint64, len(modes))
	for b.Loop() {
		for i := range modes {
			before := mallocs()
			start := time.Now()
			for range turn {
				do(i)
			}
			times[i] = append(times[i], time.Since(start))
			allocs[i] += mallocs() - before
		}
	}
	first := fastHalf(times[0])
	for i, m := range modes[1:] {
		b.ReportMetric(float64(fastHalf(times[i+1]))/float64(first), "x-"+m.name)
		b.ReportMetric((float64(allocs[i+1])-float64(allocs[0]))/float64(b.N*turn), "allocs-more-"+m.name)
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func fastHalf(times []time.Duration) (sum time.Duration) {
	slices.Sort(times)
	for _, d := range times[:(len(times)+1)/2] {
		sum += d
	}
	return sum
}

// BenchmarkMemory reports what a connection at rest holds more than with
// crypto/tls, of the heap, after a long response.
func BenchmarkMemory(b *testing.B) {
	a := newAuthority(b)
	body := make([]byte, 1<<20)
	const connections = 200
	for b.Loop() {
		var held [3]float64
		for i, m := range newModes(b, a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })) {
			m.site.moving.Store(m.name == "after")
			before := heap()
			clients := make([]*client, connections)
			for j := range clients {
				clients[j] = dial(b, m.site, a.clientConfig())
				clients[j].get(b)
				clients[j].get(b)
			}
			held[i] = (float64(heap()) - float64(before)) / connections
			runtime.KeepAlive(clients)
		}
		b.ReportMetric(held[0], "B-crypto/tls")
		b.ReportMetric(held[1]-held[0], "B-more-before")
		b.ReportMetric(held[2]-held[0], "B-more-after")
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
