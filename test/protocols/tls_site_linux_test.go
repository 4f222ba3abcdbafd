package protocols_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

const tlsdUnit = `[Unit]
Description=tlsd
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/tlsd -cert /etc/tlsd/cert.pem -key /etc/tlsd/key.pem
ExecReload=/usr/bin/tlsd reload
TimeoutStartSec=5min
TimeoutStopSec=2min
FileDescriptorStoreMax=64
RuntimeDirectory=tlsd
LimitNOFILE=20000
`

// A tlsSite is a machine that runs tlsd.
type tlsSite struct {
	*site
	key     string          // path of the certificate's key, on the host
	direct  *http.Transport // for what the service is asked
	browser context.Context // of chromedp
	first   sessions        // of the first generation
	loads   []*load         // that use the service
}

func newTLSSite(t testing.TB, v sdtest.Version) *tlsSite {
	t.Helper()
	s := &tlsSite{site: bootSite(t, v, tlsd), key: filepath.Join(t.TempDir(), "key.pem")}
	if err := os.WriteFile(s.key, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	s.direct = &http.Transport{DialContext: s.machine.Dial, DisableKeepAlives: true}
	s.machine.WriteFile("/etc/systemd/system/tlsd.service", tlsdUnit, 0o644)
	s.machine.MustRun("systemctl", "daemon-reload")
	s.machine.MustRun("systemctl", "start", "tlsd.service")
	return s
}

// Sessions are what r.TLS says, by name of the caller and by port.
type sessions map[string]map[string]string

// A tlsReport is what one generation has to say of its connections.
type tlsReport struct {
	Generation              int
	Handshakes, Resumptions int
	Callers                 sessions
	Failures                map[string]string // of uploads
}

// report asks the generation that accepts connections.
func (s *tlsSite) report() (r tlsReport, err error) {
	client := http.Client{Transport: s.direct, Timeout: patience.Of(30 * time.Second)}
	response, err := client.Get("http://127.0.0.1:8080/seen")
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	return r, json.NewDecoder(response.Body).Decode(&r)
}

// stop has a client be told that it is to end.
func (s *tlsSite) stop(name string) error {
	client := http.Client{Transport: s.direct, Timeout: patience.Of(30 * time.Second)}
	response, err := client.Get("http://127.0.0.1:8080/stop?c=" + name)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

// status is what `tlsd status` says.
func (s *tlsSite) status() (status lifecycle.Status) {
	s.t.Helper()
	out := s.machine.MustRun("/usr/bin/tlsd", "status", "-json")
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		s.t.Fatalf("status: %v in %q", err, out)
	}
	return status
}

// A caller is a client, or several that the service cannot tell apart. What it
// keeps is what it began with: so many connections, each with one session.
type caller struct {
	name        string
	suite       string // "" leaves it to the service
	way         way
	connections int
}

// A way is how a client comes to its session.
type way string

const (
	straight way = "straight"
	retried  way = "retried" // by saying hello again
	mutual   way = "mutual"  // with a certificate of its own
	resumed  way = "resumed" // by a ticket of a session before
)

func (w way) address() string {
	switch w {
	case retried:
		return "127.0.0.1:8444"
	case mutual:
		return "127.0.0.1:8445"
	default:
		return "127.0.0.1:8443"
	}
}

// problem says what is wrong with a session of the caller's.
func (c *caller) problem(session string) string {
	certificates := 0
	if c.way == mutual {
		certificates = 1
	}
	for _, want := range []string{
		"TLS 1.3 ", c.suite + " ", fmt.Sprintf("resumed=%t ", c.way == resumed), fmt.Sprintf("retried=%t ", c.way == retried),
		fmt.Sprintf("certificates=%d,%d", certificates, certificates),
	} {
		if !strings.Contains(session, want) {
			return fmt.Sprintf("%s: the session is %s, want %s", c.name, session, want)
		}
	}
	return ""
}

// broken reports whether something has broken, so that there is nothing to wait
// for.
func (s *tlsSite) broken() bool {
	return slices.ContainsFunc(s.loads, func(l *load) bool { return !l.unbroken() })
}

// awaitAll waits until that generation has answered each caller on each of its
// connections.
func (s *tlsSite) awaitAll(generation int, callers []caller) {
	s.t.Helper()
	var r tlsReport
	problem := ""
	patience.Until(time.Minute, func() bool {
		var err error
		if r, err = s.report(); err != nil {
			problem = err.Error()
		} else {
			problem = r.lacks(generation, callers)
		}
		return problem == "" || s.broken()
	})
	if problem != "" {
		s.t.Errorf("waited in vain for generation %d: %s", generation, problem)
		return
	}
	s.checkReport(r, callers)
}

// lacks says which connection has not been served.
func (r *tlsReport) lacks(generation int, callers []caller) string {
	if r.Generation != generation {
		return fmt.Sprintf("generation %d serves", r.Generation)
	}
	for _, c := range callers {
		if n := len(r.Callers[c.name]); n < c.connections {
			return fmt.Sprintf("it has served %d connections of %s, want %d", n, c.name, c.connections)
		}
	}
	return ""
}

// checkReport compares a generation with the first one: there are the same
// connections, with the same sessions, and no other.
func (s *tlsSite) checkReport(r tlsReport, callers []caller) {
	s.t.Helper()
	if s.first == nil {
		s.first = r.Callers
		s.checkFirst(callers)
		return
	}
	for _, c := range callers {
		if now := r.Callers[c.name]; !maps.Equal(now, s.first[c.name]) {
			s.t.Errorf("generation %d has of %s %v, the first had %v", r.Generation, c.name, now, s.first[c.name])
		}
	}
	if r.Handshakes+r.Resumptions > 0 {
		s.t.Errorf("generation %d made %d sessions anew and resumed %d", r.Generation, r.Handshakes, r.Resumptions)
	}
}

// checkFirst checks what the callers begin with.
func (s *tlsSite) checkFirst(callers []caller) {
	s.t.Helper()
	for _, c := range callers {
		if n := len(s.first[c.name]); n != c.connections {
			s.t.Errorf("%s began with %d connections, want %d", c.name, n, c.connections)
			continue
		}
		for _, session := range s.first[c.name] {
			if problem := c.problem(session); problem != "" {
				s.t.Error(problem)
			}
		}
	}
}

// checkMoved checks that all connections that are there have moved here.
func (s *tlsSite) checkMoved(callers []caller) {
	s.t.Helper()
	total := 0
	for _, c := range callers {
		total += c.connections
	}
	moves := s.status().TLS
	if moves == nil || moves.Arrived != uint64(total) || moves.Lost > 0 || len(moves.Stayed) > 0 {
		s.t.Errorf("of %d connections, status says %+v", total, moves)
	}
}

// replace replaces the process, and waits until the next has answered all.
func (s *tlsSite) replace(how string, generation int, callers []caller) {
	s.t.Helper()
	s.machine.MustRun("systemctl", how, "tlsd.service")
	s.awaitAll(generation, callers)
	s.checkMoved(callers)
}

// suites are those of TLS 1.3 that Go has.
var suites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

// split makes callers of n clients: in turn with each suite and by each way, or
// with none where the client has no choice.
func split(name string, n int, suites []string, ways []way) (callers []caller) {
	for i := range n {
		c := caller{way: ways[i%len(ways)], connections: 1}
		if len(suites) > 0 {
			c.suite = suites[i%len(suites)]
		}
		c.name = fmt.Sprintf("%s-%d-%s", name, i, c.way)
		callers = append(callers, c)
	}
	return callers
}

// merge makes one caller of those that are alike.
func merge(callers []caller) (merged []caller) {
	for _, c := range callers {
		i := slices.IndexFunc(merged, func(m caller) bool { return m.suite == c.suite && m.way == c.way })
		if i < 0 {
			merged = append(merged, c)
			continue
		}
		merged[i].connections++
	}
	return merged
}
