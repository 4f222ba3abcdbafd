package lifecycle_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// BenchmarkRequest compares a request on a connection that can move with one
// that net/http serves alone: in the same run, and in the ratio only, for times
// differ from machine to machine. The allocations are the same.
func BenchmarkRequest(b *testing.B) {
	server := func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello\n")
		})}
	}
	b.Run("net-http", func(b *testing.B) {
		benchmarkRequest(b, func(l net.Listener) { _ = server().Serve(l) })
	})
	b.Run("heirloom", func(b *testing.B) {
		benchmarkRequest(b, func(l net.Listener) { _ = lifecycle.Track(l, server())() })
	})
}

func benchmarkRequest(b *testing.B, serve func(net.Listener)) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go serve(listener)
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	reader := bufio.NewReader(client)
	ask := func() {
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
	}
	ask() // what comes once does not count, as few as the requests of a slow machine may be
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// TestRequestAllocatesNothingMore holds the promise that a request costs no
// allocation that net/http would not have had.
func TestRequestAllocatesNothingMore(t *testing.T) {
	var allocs [2]int64
	for i, serve := range []func(net.Listener, *http.Server) error{
		func(l net.Listener, s *http.Server) error { return s.Serve(l) },
		func(l net.Listener, s *http.Server) error { return lifecycle.Track(l, s)() },
	} {
		result := testing.Benchmark(func(b *testing.B) {
			benchmarkRequest(b, func(l net.Listener) {
				_ = serve(l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "hello\n")
				})})
			})
		})
		allocs[i] = result.AllocsPerOp()
	}
	if allocs[1] > allocs[0] {
		t.Errorf("%d allocations a request, net/http alone makes %d", allocs[1], allocs[0])
	}
}
