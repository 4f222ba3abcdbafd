package protocols_test

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

var tlsFleet = flag.Int("tls.fleet", 5000, "how many clients BenchmarkTLSReload has")

// BenchmarkTLSReload reloads a service with many clients that are idle, and ask
// once after it. It measures what the reload costs: how many handshakes, and
// what time of the processor in the service, all generations together, and in
// the clients. Those of HTTP/1.1 have moved; those of HTTP/2 are told GOAWAY,
// and connect again: with a whole handshake, or by a ticket.
//
//	go test -C test/protocols -run - -bench TLSReload -benchtime 3x
func BenchmarkTLSReload(b *testing.B) {
	for _, bench := range []struct {
		name string
		open func(b *testing.B, s *tlsSite) asker
	}{
		{"no clients", func(_ *testing.B, s *tlsSite) asker { return &crowd{tlsSite: s} }},
		{"HTTP1 that moves", func(b *testing.B, s *tlsSite) asker {
			c := &crowd{tlsSite: s}
			if err := c.dial(straight.address(), s.tls(), *tlsFleet); err != nil {
				b.Fatal(err)
			}
			return c
		}},
		{"HTTP2", func(_ *testing.B, s *tlsSite) asker { return newFleet(s, *tlsFleet, false) }},
		{"HTTP2 with tickets", func(_ *testing.B, s *tlsSite) asker { return newFleet(s, *tlsFleet, true) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := newTLSSite(b, sdtest.V262)
			clients := bench.open(b, s)
			defer clients.hangUp()
			clients.askIn(b, 1)
			var c fleetCost
			generation := 1
			b.ResetTimer()
			for b.Loop() {
				generation++
				c.add(s.reloadCost(b, clients, generation))
			}
			b.ReportMetric(0, "ns/op") // says nothing
			b.ReportMetric(float64(c.handshakes)/float64(b.N), "handshakes")
			b.ReportMetric(float64(c.resumptions)/float64(b.N), "resumptions")
			b.ReportMetric(c.service.Seconds()/float64(b.N), "service-cpu-s")
			b.ReportMetric(c.clients.Seconds()/float64(b.N), "clients-cpu-s")
			b.ReportMetric(c.elapsed.Seconds()/float64(b.N), "elapsed-s")
		})
	}
}

// An asker is clients that each ask once, and want to be answered by that
// generation.
type asker interface {
	askIn(b *testing.B, generation int)
	hangUp()
}

func (c *crowd) askIn(b *testing.B, generation int) {
	c.generation = generation
	c.ask(b)
}

// A fleet is clients of HTTP/2, with a connection each. What is told to them by
// GOAWAY, and that they connect again, is net/http's matter.
type fleet struct {
	*tlsSite
	clients []*http.Client
}

func newFleet(s *tlsSite, n int, tickets bool) *fleet {
	f := &fleet{tlsSite: s}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	for range n {
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: s.tls(), DialContext: s.machine.Dial}
		if tickets {
			transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		f.clients = append(f.clients, &http.Client{Transport: transport, Timeout: patience.Of(5 * time.Minute)})
	}
	return f
}

func (f *fleet) hangUp() {
	for _, c := range f.clients {
		c.CloseIdleConnections()
	}
}

func (f *fleet) askIn(b *testing.B, generation int) {
	b.Helper()
	var group sync.WaitGroup
	next := make(chan *http.Client)
	for range 16 {
		group.Go(func() {
			for client := range next {
				if err := f.askOnce(client, generation); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, c := range f.clients {
		next <- c
	}
	close(next)
	group.Wait()
}

func (f *fleet) askOnce(client *http.Client, generation int) error {
	response, err := client.Get("https://127.0.0.1:8446")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && !strings.HasPrefix(string(body), fmt.Sprintf("generation %d ", generation)) {
		err = fmt.Errorf("answered %q, want generation %d", body, generation)
	}
	return err
}

// A fleetCost is what reloads cost.
type fleetCost struct {
	handshakes, resumptions   int
	service, clients, elapsed time.Duration
}

func (c *fleetCost) add(more fleetCost) {
	c.handshakes += more.handshakes
	c.resumptions += more.resumptions
	c.service += more.service
	c.clients += more.clients
	c.elapsed += more.elapsed
}

// reloadCost reloads, waits until one process is left, and has all clients ask.
func (s *tlsSite) reloadCost(b *testing.B, clients asker, generation int) fleetCost {
	b.Helper()
	service, own, began := s.serviceTime(), ownTime(b), time.Now()
	s.machine.MustRun("systemctl", "reload", "tlsd.service")
	s.machine.Wait("the predecessor to end", func() bool { return len(s.machine.Processes("tlsd.service")) == 1 })
	clients.askIn(b, generation)
	cost := fleetCost{service: s.serviceTime() - service, clients: ownTime(b) - own, elapsed: time.Since(began)}
	r, err := s.report()
	if err != nil {
		b.Fatal(err)
	}
	cost.handshakes, cost.resumptions = r.Handshakes, r.Resumptions
	return cost
}

// serviceTime is what the service's processes have used of the processor, those
// that have ended included.
func (s *tlsSite) serviceTime() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.machine.Root(), "sys/fs/cgroup", s.machine.Property("tlsd.service", "ControlGroup"), "cpu.stat"))
	if err != nil {
		s.t.Fatal(err)
	}
	var used int64 // microseconds come first (Documentation/admin-guide/cgroup-v2.rst)
	if _, err := fmt.Sscanf(string(text), "usage_usec %d", &used); err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return time.Duration(used) * time.Microsecond
}

// ownTime is what this process has used of the processor.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
