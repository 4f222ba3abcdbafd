package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/kills"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A harm is what a step may break.
type harm int

const (
	nothing harm = iota
	// underWay is what the process was reading or answering when it was killed,
	// and what a crash loses in any case: connections of TLS, and very young
	// ones.
	underWay
	// remaining is whatever the process still had, when it was handing over:
	// all that its successor had not got. net/http calls a connection idle until
	// a whole header was read.
	remaining
	// orphans is what is underWay, and what was sent after the last request on connections
	// that a successor had until systemd ended it, since the kill had made it
	// no main process. That successor has told them to close.
	orphans
	// everything is also any connection that was there at the kill: the process was
	// handing them over.
	everything
)

// A kill is one of the service's processes.
type kill struct {
	kills.Kill
	began, ended time.Time
	settled      time.Time // when one process served again; zero before that
	harm         harm
}

// A crowd is the load of a site, with and without TLS.
type crowd struct {
	*site
	runs []*loadtest.Run

	kills []*kill
	dead  map[int]bool // processes that were killed
	spent int          // requests that were broken, with good reason

	mu     sync.Mutex
	broken []broken // that nobody has looked at yet
}

// Broken is what a client has to say of requests that broke.
type broken struct {
	at     time.Time
	secure bool
	err    *loadtest.BrokenError
}

// name is what the server calls the connection in its log.
func (b broken) name() string {
	if b.secure {
		return "https/" + b.err.Conn.Local.String()
	}
	return b.err.Conn.Local.String()
}

func newCrowd(s *site) *crowd {
	c := &crowd{site: s, dead: map[int]bool{}}
	plain := loadtest.OfEach(1)
	plain[loadtest.KeepAlive] = 8
	secure := loadtest.OfEach(1)
	for _, part := range []struct {
		address string
		secure  bool
		clients map[loadtest.Class]int
	}{{plainAddress, false, plain}, {secureAddress, true, secure}} {
		target := loadtest.Target{
			Address: part.address, Dial: s.machine.Dial, Limit: patience.Of(2 * time.Minute),
			ThinkTime: 40 * time.Millisecond, SlowFor: 150 * time.Millisecond, PauseFor: 10 * time.Millisecond, IdleFor: time.Second,
			UploadSize: 8 << 10,
		}
		if part.secure {
			target.Dial = noteDial(loadtest.OverTLS(s.machine.Dial))
		}
		target.Observe = func(o loadtest.Observation) {
			if o.Err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.broken = append(c.broken, broken{o.At, part.secure, o.Err})
			}
		}
		c.runs = append(c.runs, loadtest.Start(target, part.clients))
	}
	s.t.Cleanup(c.stop)
	return c
}

// A dialError says when a connection was begun that did not come about.
type dialError struct {
	error
	began time.Time
}

func (e *dialError) Unwrap() error { return e.error }

// noteDial has the errors of dial be each a dialError.
func noteDial(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		began := time.Now()
		nc, err := dial(ctx, network, address)
		if err != nil {
			return nil, &dialError{err, began}
		}
		return nc, nil
	}
}

// stop ends the load. It may be called again.
func (c *crowd) stop() {
	for _, run := range c.runs {
		run.Stop()
	}
}

// verify ends the load, and checks that it was one.
func (c *crowd) verify(t *testing.T) {
	t.Helper()
	c.stop()
	c.checkBroken()
	total := 0
	for _, run := range c.runs {
		report := run.Stop()
		total += report.Broken
		for _, class := range report.ByClass {
			if class.Requests == class.Broken {
				t.Errorf("%s clients have had no answer", class.Class)
			}
		}
		t.Logf("%d requests, %d of them broken, over %d connections", report.Requests, report.Broken, report.Connections)
	}
	if total != c.spent {
		t.Errorf("%d requests are broken, of which %d are accounted for", total, c.spent)
	}
}

// kill kills a process. What that may break is harm.
func (c *crowd) kill(pid int, sig syscall.Signal, harm harm) {
	c.t.Helper()
	began := time.Now()
	c.signal(pid, sig)
	if !patience.Until(time.Minute, func() bool { return c.gone(pid) }) {
		c.t.Fatalf("process %d does not end of signal %d", pid, sig)
	}
	c.note(pid, began, harm)
}

// killed notes a process that may have died of itself since it was last known
// to serve.
func (c *crowd) killed(pid int, since time.Time, harm harm) {
	c.t.Helper()
	if c.gone(pid) {
		c.note(pid, since, harm)
	}
}

// note notes a process that was killed.
func (c *crowd) note(pid int, began time.Time, harm harm) {
	c.t.Helper()
	text, err := os.ReadFile(c.log(pid))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // it was not ready yet
		c.t.Fatal(err)
	}
	c.dead[pid] = true
	c.kills = append(c.kills, &kill{Kill: kills.Kill{States: kills.States(string(text))}, harm: harm, began: began, ended: time.Now()})
}

// settle notes that one process serves.
func (c *crowd) settle() {
	for _, k := range c.kills {
		if k.settled.IsZero() {
			k.settled = time.Now()
		}
	}
}

// checkBroken checks that all that is broken is explained by a kill.
func (c *crowd) checkBroken() {
	c.t.Helper()
	c.mu.Lock()
	all := c.broken
	c.broken = nil
	c.mu.Unlock()
	for _, b := range all {
		c.spent += b.err.Unanswered
		why := ""
		// The log of the next process may be late.
		patience.Until(10*time.Second, func() bool {
			for _, k := range c.kills {
				if why = c.explain(k, b); why == "" {
					return true
				}
			}
			return len(c.kills) == 0
		})
		if why != "" || len(c.kills) == 0 {
			c.t.Errorf("broken without a reason (%s; over TLS: %t): %v\n%s", why, b.secure, b.err, c.story(b))
		}
	}
	const memory = time.Minute // is more than a client is silent
	for len(c.kills) > 0 && time.Since(c.kills[0].ended) > patience.Of(memory) {
		c.kills = c.kills[1:]
	}
}

// explain returns why a kill does not explain what broke, or nothing if it does.
func (c *crowd) explain(k *kill, b broken) string {
	var dial *dialError
	if b.err.Conn == nil && !errors.As(b.err, &dial) {
		return "no connection"
	}
	var dialled time.Time
	if b.err.Conn == nil {
		dialled = dial.began
	} else {
		dialled = b.at.Add(-b.err.Conn.Age)
	}
	switch {
	case b.at.Before(k.began):
		return "it broke before the kill"
	case k.harm >= orphans && errors.Is(b.err, loadtest.ErrUnanswered) && (k.settled.IsZero() || dialled.Before(k.settled)):
		return ""
	case dialled.After(k.ended):
		return "it was begun after the kill"
	case k.harm == nothing:
		return "the process that was killed had no connection"
	case k.harm == everything:
		return ""
	case b.err.Conn == nil && b.secure:
		return "" // the handshake was under way
	case b.err.Conn == nil:
		return "connections without TLS are never refused"
	}
	// What a connection has to have lived for to be kept; see "Connections that
	// outlive a crash" in docs/internals.md. A process does nothing more once it
	// has the signal, and may take long to die: of SIGABRT it writes a line to the
	// journal for each frame of each goroutine.
	young := k.began.Sub(dialled) < patience.Of(time.Second)
	state := k.States[b.name()]
	switch {
	case young, b.secure && state != "" && state != "closed":
		return ""
	case k.harm == remaining && state != "" && !c.arrived(b.name()):
		return ""
	}
	if !b.secure && k.judge(c, b) != kills.Rest {
		return ""
	}
	return fmt.Sprintf("its connection was %q at the kill", state)
}

// story is what the logs say of the connection, by process.
func (c *crowd) story(b broken) string {
	if b.err.Conn == nil {
		return ""
	}
	out, _ := c.machine.Run("sh", "-c", "grep '^"+b.name()+" ' "+stateDir+"/log.* | tail -n 20")
	return out
}

// arrived reports whether a process that lives has, or had, the connection of that
// name.
func (c *crowd) arrived(name string) bool {
	for _, pid := range c.processes() {
		text, err := os.ReadFile(c.log(pid))
		if _, known := kills.States(string(text))[name]; err == nil && known {
			return true
		}
	}
	return false
}

// judge looks into the journal only if it has to: what the next process has
// closed may not be there yet.
func (k *kill) judge(c *crowd, b broken) kills.Verdict {
	verdict := k.Judge(b.err)
	if verdict == kills.Rest {
		k.Cut, _ = kills.Cut(c.machine.Journal("-o", "cat", "-u", unit, fmt.Sprintf("--since=@%d", k.began.Unix())))
		verdict = k.Judge(b.err)
	}
	return verdict
}
