package lifecycle_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func init() { roles["measured"] = measured }

// measured serves what the benchmarks ask for: so many bytes, or what its heap
// holds and how many objects it has allocated.
func measured(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	config := selfSigned()
	body := make([]byte, 1<<20)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/memory" {
			runtime.GC()
			runtime.GC() // of pools as well
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintln(w, service.Generation(), m.HeapAlloc, m.Mallocs)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		n, _ := strconv.Atoi(r.URL.RawQuery)
		_, _ = w.Write(body[:n])
	})
	if err := service.HTTP(listener, &http.Server{Handler: handler, TLSConfig: config}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

// A measuredServer is a process, whose CPU time counts, and not that of the
// client.
type measuredServer struct {
	b       *testing.B
	name    string
	address string
	cmd     *exec.Cmd
	cpu     []int64 // of each turn, in nanoseconds
}

// startMeasured starts a server without Options.MoveTLS, and two with it: the
// connections of the last move, by move.
func startMeasured(b *testing.B) []*measuredServer {
	var servers []*measuredServer
	for _, name := range []string{"crypto/tls", "before", "after"} {
		dir := b.TempDir()
		s := &measuredServer{b: b, name: name, address: freeport.Address(b, "tcp"), cmd: exec.Command(os.Args[0])}
		move := map[bool]string{true: "yes"}[name != "crypto/tls"]
		s.cmd.Env = append(os.Environ(), "HEIRLOOM_TEST_ROLE=measured", "RUNTIME_DIRECTORY="+dir, "HEIRLOOM_TEST_MOVE_TLS="+move,
			"HEIRLOOM_TEST_LISTEN=tcp!"+s.address, "HEIRLOOM_TEST_REPLACE=in-place")
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer log.Close()
		s.cmd.Stdout, s.cmd.Stderr = log, log
		if err := s.cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			_ = s.cmd.Wait()
		})
		if err := eventually(func() bool {
			nc, err := net.Dial("tcp", s.address)
			if err == nil {
				_ = nc.Close()
			}
			return err == nil
		}); err != nil {
			b.Fatal(err)
		}
		servers = append(servers, s)
	}
	return servers
}

// move has the connections of the last server move.
func (s *measuredServer) move(of *measuredClient) {
	if s.name != "after" {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.b.Fatal(err)
	}
	if err := eventually(func() bool { return of.memory().generation == 2 }); err != nil {
		s.b.Fatal(err)
	}
}

// used returns the CPU time of all threads, in nanoseconds.
func (s *measuredServer) used() (sum int64) {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	for _, path := range paths {
		var ns int64
		text, _ := os.ReadFile(path)
		_, _ = fmt.Sscan(string(text), &ns)
		sum += ns
	}
	return sum
}

func (s *measuredServer) fastHalf() (sum float64) {
	slices.Sort(s.cpu)
	for _, ns := range s.cpu[:(len(s.cpu)+1)/2] {
		sum += float64(ns)
	}
	return sum
}

type measuredClient struct {
	b *testing.B
	net.Conn
	reader *bufio.Reader
}

func (s *measuredServer) dial() *measuredClient {
	nc, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		s.b.Fatal(err)
	}
	s.b.Cleanup(func() { _ = nc.Close() })
	return &measuredClient{s.b, nc, bufio.NewReader(nc)}
}

// ask returns the answer to a request.
func (c *measuredClient) ask(request []byte) string {
	_ = c.SetDeadline(patience.Deadline(time.Minute))
	if _, err := c.Write(request); err != nil {
		c.b.Fatal(err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.b.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.Close {
		c.b.Fatal("told to close", err)
	}
	return string(body)
}

type measuredMemory struct {
	generation  int
	heap, count int64
}

func (c *measuredClient) memory() (m measuredMemory) {
	_, _ = fmt.Sscan(c.ask([]byte("GET /memory HTTP/1.1\r\nHost: test\r\n\r\n")), &m.generation, &m.heap, &m.count)
	return m
}

func getting(size int) []byte {
	return fmt.Appendf(nil, "GET /?%d HTTP/1.1\r\nHost: test\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n", size)
}

func putting(size int) []byte {
	head := fmt.Appendf(nil, "PUT /?2 HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", size)
	return append(head, make([]byte, size)...)
}

// BenchmarkMoveTLS compares requests over TLS as a service makes them: x-before
// and x-after are how many times the CPU time of one without Options.MoveTLS
// the server takes, before a move and after. The servers take turns.
//
//	go test ./lifecycle -run - -bench MoveTLS -benchtime 100x
func BenchmarkMoveTLS(b *testing.B) {
	for _, test := range []struct {
		name    string
		request []byte
	}{
		{"get-0", getting(0)}, {"get-1k", getting(1 << 10)}, {"get-100k", getting(100 << 10)},
		{"put-1k", putting(1 << 10)}, {"put-100k", putting(100 << 10)},
	} {
		b.Run(test.name, func(b *testing.B) {
			const turn = 50
			servers := startMeasured(b)
			clients := make([]*measuredClient, len(servers))
			counts := make([]int64, len(servers))
			for i, s := range servers {
				clients[i] = s.dial()
				clients[i].ask(test.request)
				s.move(clients[i])
				for range turn {
					clients[i].ask(test.request)
				}
				counts[i] = clients[i].memory().count
			}
			n := 0
			for b.Loop() {
				n++
				for i, s := range servers {
					before := s.used()
					for range turn {
						clients[i].ask(test.request)
					}
					s.cpu = append(s.cpu, s.used()-before)
				}
			}
			for i, s := range servers {
				counts[i] = clients[i].memory().count - counts[i]
				if i > 0 {
					b.ReportMetric(s.fastHalf()/servers[0].fastHalf(), "x-"+s.name)
					b.ReportMetric(float64(counts[i]-counts[0])/float64(n*turn), "allocs-more-"+s.name)
				}
			}
			b.ReportMetric(servers[0].fastHalf()/float64((n+1)/2*turn), "cpu-ns")
		})
	}
}

// BenchmarkMoveTLSHandshake compares handshakes.
func BenchmarkMoveTLSHandshake(b *testing.B) {
	const turn = 20
	servers := startMeasured(b)[:2]
	for b.Loop() {
		for _, s := range servers {
			before := s.used()
			for range turn {
				c := s.dial()
				c.ask(getting(0))
				_ = c.Close()
			}
			s.cpu = append(s.cpu, s.used()-before)
		}
	}
	b.ReportMetric(servers[1].fastHalf()/servers[0].fastHalf(), "x-before")
}

// BenchmarkMoveTLSMemory reports how many bytes of the heap a connection at
// rest holds more than without Options.MoveTLS, when it has seen requests and
// responses of some length.
func BenchmarkMoveTLSMemory(b *testing.B) {
	const connections = 300
	for name, request := range map[string][]byte{"small": getting(10), "response-1M": getting(1 << 20), "request-1k": putting(1 << 10), "request-1M": putting(1 << 20)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				held := make(map[string]int64)
				for _, s := range startMeasured(b) {
					held[s.name] = s.held(connections, request)
				}
				b.ReportMetric(float64(held["crypto/tls"])/connections, "B-crypto/tls")
				b.ReportMetric(float64(held["before"]-held["crypto/tls"])/connections, "B-more-before")
				b.ReportMetric(float64(held["after"]-held["crypto/tls"])/connections, "B-more-after")
			}
		})
	}
}

// held returns how many bytes are free when connections at rest have ended.
func (s *measuredServer) held(connections int, request []byte) int64 {
	first := s.dial()
	clients := make([]*measuredClient, connections)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].ask(request)
	}
	s.move(first)
	for _, c := range clients {
		c.ask(request)
	}
	with := first.memory().heap
	for _, c := range clients {
		_ = c.Close()
	}
	last := with
	if err := eventually(func() bool {
		before := last
		last = first.memory().heap
		return last < with-int64(connections)<<10 && last > before-4096
	}); err != nil {
		s.b.Fatal(err)
	}
	return with - last
}
