package protocols_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// make tls-proof sets these.
var (
	tlsClients = flag.Int("tls.clients", 6, "how many clients of each family TestTLSClients has")
	tlsFamily  = flag.String("tls.family", "", "the only family of clients that it has, if any")
	tlsRounds  = flag.Int("tls.rounds", 0, "how many reloads and restarts it does, or 0 for what sdtest.Rounds makes of 20")
)

// A family is clients of one program, or of one library.
type family struct {
	name     string
	programs []string // that it needs
	callers  []caller
	run      func(l *load, s *tlsSite, callers []caller) string
}

// families are those whose TLS nobody here wrote: Go's own, OpenSSL in four
// programs, GnuTLS, that of the Java machine, and the browser's BoringSSL.
func families(n int) []family {
	all := []way{straight, retried, mutual, resumed}
	return []family{
		{"go", nil, split("go", n, nil, all), goCalls},
		{"curl", []string{"curl"}, split("curl", n, suites, all), curlCalls},
		{"wrk", []string{"wrk"}, merge(split("wrk", n, suites, []way{straight, retried})), wrkCalls},
		{"python", []string{"/usr/bin/python3"}, split("python", n, suites, all), pythonCalls},
		{"openssl", []string{"openssl"}, split("openssl", n, suites, all), opensslCalls},
		{"gnutls", []string{"gnutls-cli"}, split("gnutls", n, suites, all), gnutlsCalls},
		{"java", []string{"java"}, split("java", n, suites, all), javaCalls},
		{"chromium", []string{"chromium"}, split("chromium", n, nil, []way{straight, retried}), chromiumCalls},
	}
}

// TestTLSClients reloads and restarts a service under clients of TLS 1.3 that
// keep their connection, of every family, with each suite, and by each way to a
// session. Nothing breaks, and each has one connection, with one session, from
// the first generation to the last: the service tells them by their ports, and
// makes no session after the first generation.
//
// make tls-proof does so with many clients, and often.
func TestTLSClients(t *testing.T) {
	all := slices.DeleteFunc(families(*tlsClients), func(f family) bool { return *tlsFamily != "" && f.name != *tlsFamily })
	for _, f := range all {
		need(t, f.programs...)
	}
	for _, v := range sdtest.Turn(t.Name()) {
		t.Run(v.String(), func(t *testing.T) {
			s := newTLSSite(t, v)
			if s.rounds = *tlsRounds; s.rounds == 0 {
				s.rounds = sdtest.Rounds(v, 20)
			}
			s.browser = s.startBrowser(t, chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"))
			moveUnder(t, s, all)
		})
	}
}

// moveUnder reloads and restarts the service in turn, each time when every
// connection has been served.
func moveUnder(t *testing.T, s *tlsSite, all []family) {
	p := newPhases(t)
	var peers []peer
	var callers []caller
	for _, f := range all {
		callers = append(callers, f.callers...)
		peers = append(peers, peer{name: f.name, run: func(l *load) string { return f.run(l, s, f.callers) }})
	}
	var wait func()
	s.loads, wait = startPeers(t, s.site, p, peers)
	defer wait()
	defer p.abort()
	s.awaitAll(1, callers)
	generation := 1
	for range s.rounds {
		for _, how := range []string{"reload", "restart"} {
			if !t.Failed() {
				generation++
				s.replace(how, generation, callers)
			}
		}
	}
	p.stop()
	wait()
	for _, l := range s.loads {
		t.Run(l.peer.name, l.judge)
	}
	if r, err := s.report(); err == nil {
		s.checkReport(r, callers)
	} else {
		t.Error(err)
	}
	s.checkManager("tlsd.service")
	t.Logf("%d generations", generation)
}
