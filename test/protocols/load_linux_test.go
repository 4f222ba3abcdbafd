package protocols_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A peer is a client, or several of a kind, that uses the service all the time.
type peer struct {
	name string
	as   []string // by which names the service counts it, if not by its own
	want int      // how often each generation must have served it, by each of the names, before that is replaced
	run  func(l *load) string
}

// names are those by which the service counts it.
func (p *peer) names() []string {
	if len(p.as) > 0 {
		return p.as
	}
	return []string{p.name}
}

// A load is one peer at work.
type load struct {
	site *site
	peer peer
	dir  string // for its files
	*phases

	mu     sync.Mutex
	broken []string

	summary string // what it has done, when it has ended
}

// running says whether the peer is to go on: not if much is broken.
func (l *load) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping.Err() == nil && len(l.broken) < 20
}

// unbroken reports whether nothing has broken yet.
func (l *load) unbroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.broken) == 0
}

// breaks notes what must not have happened.
func (l *load) breaks(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, fmt.Sprintf(format, args...))
}

// judge is the end of a peer that has ended.
func (l *load) judge(t *testing.T) {
	t.Log(l.summary)
	for _, broken := range l.broken {
		t.Error(broken)
	}
}

// Phases are what all peers of a test have in common.
type phases struct {
	// stopping ends when peers are to end what they do, over when the service
	// has been replaced once more after that, and done when the test is over
	// and everything ends at once.
	stopping, over, done context.Context
	stop, end, abort     context.CancelFunc

	reloads, restarts atomic.Int32 // counted when they begin
}

func newPhases(t *testing.T) *phases {
	p := new(phases)
	p.done, p.abort = context.WithCancel(t.Context())
	p.stopping, p.stop = context.WithCancel(p.done)
	p.over, p.end = context.WithCancel(p.done)
	return p
}

// replaced says how often the service has been replaced.
func (p *phases) replaced() (reloads, restarts int) {
	return int(p.reloads.Load()), int(p.restarts.Load())
}

// TestUnderLoad replaces a service that serves everything, to clients of every
// kind. Each is judged in a subtest.
func TestUnderLoad(t *testing.T) {
	need(t, "h2load", "curl")
	eachSite(t, func(t *testing.T, s *site) {
		replaceUnder(t, s, everybody())
	})
}

func everybody() []peer {
	http1, http2, clear2 := new(http.Protocols), new(http.Protocols), new(http.Protocols)
	http1.SetHTTP1(true)
	http2.SetHTTP2(true)
	clear2.SetUnencryptedHTTP2(true)
	const prior = "--http2-prior-knowledge"
	return []peer{
		h2load("h2load-http1", plain, "--h1", "-c4", "-n200"),
		h2load("h2load-https1", https, "--h1", "-c4", "-n200"),
		h2load("h2load-https2-m1", https, "-c4", "-m1", "-n50000"),
		h2load("h2load-https2-m10", https, "-c2", "-m10", "-n50000"),
		h2load("h2load-h2c-m1", h2c, "-c4", "-m1", "-n50000"),
		h2load("h2load-h2c-m10", h2c, "-c2", "-m10", "-n50000"),
		curl("curl-https1", "1.1", https, 100, "--http1.1"),
		curl("curl-https2", "2", https, 100, "--http2"),
		curl("curl-https2-parallel", "2", https, 100, "--http2", "--parallel", "--parallel-max", "10"),
		curl("curl-h2c", "2", h2c, 1, prior), // curl 7.88 breaks its second request, whatever the server
		goClient("go-https1", https, http1, 4, 1),
		goClient("go-https2", https, http2, 1, 4),
		goClient("go-h2c", h2c, clear2, 1, 4),
		curlEvents("events-http1", plain),
		curlEvents("events-https1", https, "--http1.1"),
		curlEvents("events-https2", https, "--http2"),
		curlEvents("events-h2c", h2c, prior),
		webSocket("websocket", plain),
		webSocket("websocket-tls", https),
		movedWebSocket("moved", plain),
		grpcUnary("grpc-unary", grpcPlain, 3, 0),
		grpcUnary("grpc-unary-rare", grpcPlain, 1, 200*time.Millisecond),
		grpcUnary("grpc-unary-tls", grpcTLS, 3, 0),
		grpcFresh("grpc-fresh", grpcPlain, 3),
		grpcFresh("grpc-fresh-tls", grpcTLS, 3),
		grpcEvents("grpc-events", grpcPlain),
		grpcEvents("grpc-events-tls", grpcTLS),
		grpcEcho("grpc-echo", grpcPlain),
		grpcEcho("grpc-echo-tls", grpcTLS),
		lines("lines"),
		datagrams("datagrams"),
	}
}

// replaceUnder reloads and restarts the service in turn, each time when all
// peers have been served.
func replaceUnder(t *testing.T, s *site, peers []peer) {
	p := newPhases(t)
	loads, wait := startPeers(t, s, p, peers)
	defer wait()
	defer p.abort()
	s.awaitServed(1, peers)
	for range s.rounds {
		if !t.Failed() {
			p.reloads.Add(1)
			s.replace("reload", p, peers)
		}
		if !t.Failed() {
			p.restarts.Add(1)
			s.replace("restart", p, peers)
		}
	}
	p.stop()
	p.reloads.Add(1)
	s.replace("reload", p, nil) // a run of h2load with HTTP/2 ends when its connections do, and so do streams
	p.end()
	wait()
	for _, l := range loads {
		t.Run(l.peer.name, l.judge)
	}
	s.checkManager("daemon.service")
}

// startPeers starts all peers, and returns what waits for them to end.
func startPeers(t *testing.T, s *site, p *phases, peers []peer) ([]*load, func()) {
	loads := make([]*load, len(peers))
	var group sync.WaitGroup
	for i := range peers {
		l := &load{site: s, peer: peers[i], dir: t.TempDir(), phases: p}
		loads[i] = l
		group.Go(func() { l.summary = l.peer.run(l) })
	}
	return loads, group.Wait
}

// need skips the test for want of programs.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range append(programs, "nsenter") {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, err)
		}
	}
}
