package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

const (
	proxyPath = "/run/site-proxy.sock"
	logPath   = "/var/log/site/access.log"
)

// A crowd is programs at work that nobody here wrote.
type crowd struct {
	t        *testing.T
	m        *sdtest.Machine
	dir      string
	peers    []*peer
	scraper  *scraper
	stopping context.Context
	stop     context.CancelFunc
	ended    chan struct{} // when all peers have
}

// A peer runs a program again and again, until stopping is done.
type peer struct {
	name     string
	lasts    bool                          // a run does, until the site is replaced
	run      func(l *crowd, p *peer) error // once
	begun    atomic.Int64                  // runs
	seen     int64                         // of them, when the site was replaced
	answered atomic.Int64                  // requests, of runs that have ended
	failed   chan struct{}                 // closed when problem is that of the last run, which is why it was the last
	problem  error
}

func start(t *testing.T, m *sdtest.Machine, peers []*peer) *crowd {
	t.Helper()
	for _, program := range []string{"h2load", "curl", "haproxy"} {
		exampletest.Command(t, m, program) // is there
	}
	l := &crowd{t: t, m: m, dir: t.TempDir(), peers: peers, scraper: newScraper(m), ended: make(chan struct{})}
	l.stopping, l.stop = context.WithCancel(t.Context())
	l.startProxy()
	var group sync.WaitGroup
	for _, p := range peers {
		p.failed = make(chan struct{})
		group.Go(func() {
			for l.stopping.Err() == nil {
				p.begun.Add(1)
				if p.problem = p.run(l, p); p.problem != nil {
					close(p.failed)
					return
				}
			}
		})
	}
	group.Go(func() { l.scraper.run(l.stopping) })
	go func() {
		group.Wait()
		close(l.ended)
	}()
	t.Cleanup(func() {
		l.stop()
		<-l.ended // for the programs end with the test
	})
	return l
}

// mustAdvance waits until that generation has some clients and has answered
// some hundred requests, and all whose runs do not last have begun one since
// the last call.
func (l *crowd) mustAdvance(generation int) {
	l.t.Helper()
	missing := "a scrape"
	defer func() {
		if missing != "" {
			l.t.Logf("missing: %s", missing)
		}
	}()
	l.m.Wait(fmt.Sprintf("generation %d to serve all", generation), func() bool {
		missing = l.missing(generation)
		return missing == ""
	})
	for _, p := range l.peers {
		p.seen = p.begun.Load()
	}
}

func (l *crowd) missing(generation int) string {
	l.t.Helper()
	last := l.scraper.last()
	if last.generation != generation || last.connections < len(l.peers) || last.requests < 300 {
		return fmt.Sprintf("more than %+v", last)
	}
	for _, p := range l.peers {
		select {
		case <-p.failed:
			l.t.Fatalf("%s: %v", p.name, p.problem)
		default:
		}
		if !p.lasts && p.begun.Load() <= p.seen {
			return p.name
		}
	}
	return ""
}

// finish has the peers end, and judges all that they have seen. What lasts as
// long as its connection a reload ends, a second one if it has only just begun.
func (l *crowd) finish() {
	l.t.Helper()
	l.stop()
	for done := false; !done; {
		l.m.MustRun("systemctl", "reload", "site.service")
		select {
		case <-l.ended:
			done = true
		case <-time.After(2 * time.Second):
		}
	}
	for _, p := range l.peers {
		l.t.Logf("%s: %d requests in %d runs", p.name, p.answered.Load(), p.begun.Load())
		if p.problem != nil || p.answered.Load() == 0 || p.begun.Load() < 2 {
			l.t.Errorf("%s: %v", p.name, p.problem)
		}
	}
	l.scraper.judge(l.t)
}

// judgeLog checks, when the service has ended, that each answer is in one of
// the access logs, and each line of them is whole.
func (l *crowd) judgeLog(files int) {
	l.t.Helper()
	logged, answered := 0, 0
	paths, err := filepath.Glob(filepath.Join(l.m.Root(), logPath+"*"))
	if err != nil || len(paths) != files {
		l.t.Errorf("logs are %v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			l.t.Error(err)
		}
		for line := range strings.Lines(string(text)) {
			var entry struct{ Status int }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				l.t.Fatalf("%s: %v: %s", path, err, line)
			}
			if entry.Status == http.StatusOK {
				logged++
			}
		}
	}
	for _, p := range l.peers {
		answered += int(p.answered.Load())
	}
	if logged < answered {
		l.t.Errorf("%d requests were answered, and %d are in the log", answered, logged)
	}
}

// A real proxy has two ways to the site: the ports of 127.0.0.1 are for its own
// clients.
const haproxy = `
defaults
	mode http
	timeout connect 10s
	timeout client 30s
	timeout server 30s
	option forwardfor
	retries 0

listen http2
	bind 127.0.0.1:8002
	http-request set-header X-Forwarded-Proto https
	server site unix@%[1]s proto h2

listen http1
	bind 127.0.0.1:8001
	http-request set-header X-Forwarded-Proto https
	server site unix@%[1]s
`

func (l *crowd) startProxy() {
	l.t.Helper()
	config := filepath.Join(l.dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(haproxy, filepath.Join(l.m.Root(), proxyPath))), 0o600); err != nil {
		l.t.Fatal(err)
	}
	cmd := exampletest.Command(l.t, l.m, "haproxy", "-db", "-f", config)
	cmd.Stderr = os.Stderr // it has something to say only when it is wrong
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	l.m.Wait("the proxy", func() bool {
		conn, err := l.m.Dial(l.t.Context(), "tcp", "127.0.0.1:8001")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// everybody is a peer of each kind. Trust is the option with which curl trusts
// the site.
func everybody(m *sdtest.Machine, trust ...string) []*peer {
	socket := "unix:" + filepath.Join(m.Root(), proxyPath)
	return []*peer{
		lasting(h2load("https2", "-c4", "-m4", "-n100000", "--rps=100", "https://127.0.0.1/about")),
		h2load("https1", "--h1", "-c1", "-n100", "https://127.0.0.1/"),
		lasting(h2load("h2c", "-c4", "-m4", "-n100000", "--rps=100", "-B", socket, "http://example.org/about")),
		h2load("http1", "--h1", "-c1", "-n100", "-B", socket, "http://example.org/"),
		// Its answers have no reason phrase, as those of HTTP/2, and h2load
		// 1.52 takes them for failed.
		curl("proxy2", 50, "--parallel", "--parallel-max", "4", "http://127.0.0.1:8002/about"),
		h2load("proxy1", "--h1", "-c1", "-n100", "http://127.0.0.1:8001/about"),
		curl("curl2", 20, append(trust, "--http2", "https://127.0.0.1/about")...),
		lasting(curl("events", 1, append(trust, "--http2", "https://127.0.0.1/events")...)),
	}
}

func lasting(p *peer) *peer {
	p.lasts = true
	return p
}

// h2load is many clients.
func h2load(name string, args ...string) *peer {
	return &peer{name: name, run: func(l *crowd, p *peer) error {
		journal := filepath.Join(l.dir, name)
		_ = os.Remove(journal)
		out, err := exampletest.Command(l.t, l.m, "h2load", append([]string{"--log-file=" + journal}, args...)...).CombinedOutput()
		lines, readErr := os.ReadFile(journal)
		answered, judgement := judgeH2load(string(out), string(lines))
		p.answered.Add(int64(answered))
		if err := errors.Join(err, readErr, judgement); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}}
}

var h2loadSums = regexp.MustCompile(`(?m)^requests: \d+ total, (\d+) started, (\d+) done, (\d+) succeeded, `)

// judgeH2load tells how many requests were answered in a run. A run with HTTP/2
// ends when the server ends its connections: what h2load was told to ask and
// then did not begin it calls failed. So only those count that it has begun;
// and of these not what it had ready when it read GOAWAY and then must not
// send, which is in its log with the time 0, as never sent.
func judgeH2load(out, log string) (int, error) {
	sums := h2loadSums.FindStringSubmatch(out)
	if sums == nil {
		return 0, errors.New("no sums")
	}
	answered, unsent := 0, 0
	for line := range strings.Lines(log) {
		switch fields := strings.Fields(line); {
		case len(fields) == 3 && fields[1] == "200":
			answered++
		case len(fields) == 3 && fields[0] == "0" && fields[1] == "-1":
			unsent++
		default:
			return answered, fmt.Errorf("a request was broken: %s", line)
		}
	}
	if sums[1] != strconv.Itoa(answered+unsent) || sums[2] != sums[1] || sums[3] != strconv.Itoa(answered) {
		return answered, fmt.Errorf("%d were answered, %d not sent", answered, unsent)
	}
	return answered, nil
}

// curl asks so many times in a run.
func curl(name string, requests int, args ...string) *peer {
	url := args[len(args)-1] + fmt.Sprintf("?[1-%d]", requests)
	args = append([]string{"-sS", "--no-progress-meter", "--fail", "-o", "/dev/null", "-w", "%{http_code}\n"}, append(args[:len(args)-1], url)...)
	return &peer{name: name, run: func(l *crowd, p *peer) error {
		out, err := exampletest.Command(l.t, l.m, "curl", args...).CombinedOutput()
		answered := strings.Count(string(out), "200\n")
		p.answered.Add(int64(answered))
		if err != nil || answered != requests || len(out) != 4*requests {
			return fmt.Errorf("%d answers, %w\n%s", answered, err, out)
		}
		return nil
	}}
}
