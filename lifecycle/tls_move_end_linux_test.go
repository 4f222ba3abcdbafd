package lifecycle_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// idleTLS opens connections of TLS that have had an answer.
func (d *local) idleTLS(count int) []*client {
	d.t.Helper()
	clients := make([]*client, count)
	for i := range clients {
		clients[i] = d.dialTLS()
		clients[i].ask("/")
		clients[i].answer(1)
	}
	return clients
}

// TestMoveTLSNearLimit has so many sessions that the next process has just room
// for them, with the memfd in which their states travel.
func TestMoveTLSNearLimit(t *testing.T) {
	for _, c := range []struct{ limit, idle int }{{64, 20}, {256, 150}, {600, 400}} {
		t.Run(fmt.Sprint(c.limit), func(t *testing.T) {
			d := startMovingTLS(t, "tcp", fmt.Sprint("HEIRLOOM_TEST_NOFILE=", c.limit))
			clients := d.idleTLS(c.idle)
			for generation := 2; generation <= 3; generation++ {
				d.reload()
				for _, c := range clients {
					c.ask("/")
				}
				for _, c := range clients {
					if got, closes := c.anyAnswer(); got < generation-1 || closes {
						t.Errorf("an answer of generation %d, the last: %t", got, closes)
					}
				}
				d.eventually("all to move", func() bool { return d.status().TLS.Arrived == uint64(c.idle) })
			}
		})
	}
}

// TestMoveTLSKilled kills either process at steps of a reload that moves
// sessions. A session ends with who has it, and a client that goes on never
// sees a record whose number was used before: it looks at each.
func TestMoveTLSKilled(t *testing.T) {
	for _, test := range []struct {
		kill     string
		unharmed bool
	}{{"2 take over", true}, {"2 serving", false}, {"2 main", false}, {"1 hand over", false}, {"1 handed over", false}} {
		t.Run(strings.ReplaceAll(test.kill, " ", "-"), func(t *testing.T) {
			d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_DRAIN=20s")
			askers := d.askAll(20)
			d.put("kill", test.kill)
			_, _ = d.command("reload")
			d.eventually("the kill", func() bool { return !exists(filepath.Join(d.dir, "kill")) })
			if test.unharmed {
				d.reload()
			}
			for _, err := range askers.end() {
				switch {
				case test.unharmed:
					t.Error(err)
				case !isEndOfConnection(err):
					t.Errorf("a session did not just end: %v", err)
				}
			}
		})
	}
}

// isEndOfConnection reports whether the other end is gone, rather than wrong.
func isEndOfConnection(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Askers ask over one connection each, one request after the other.
type askers struct {
	over   atomic.Bool
	done   sync.WaitGroup
	asked  atomic.Int64
	mu     sync.Mutex
	failed []error
}

func (d *local) askAll(count int) *askers {
	d.t.Helper()
	a := &askers{}
	for range count {
		_, c := d.dialRecords()
		a.done.Go(func() {
			if err := a.ask(c); err != nil {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.failed = append(a.failed, err)
			}
		})
	}
	d.eventually("the clients to ask", func() bool { return a.asked.Load() > int64(10*count) })
	return a
}

// ask asks until it is over, or told to close.
func (a *askers) ask(c *client) error {
	for !a.over.Load() {
		_ = c.SetDeadline(patience.Deadline(time.Minute))
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return err
		}
		if a.asked.Add(1); response.Close {
			return nil
		}
	}
	return nil
}

// end returns how they failed.
func (a *askers) end() []error {
	a.over.Store(true)
	a.done.Wait()
	return a.failed
}

// TestMoveTLSFrozen stops the successor when it has become the main process,
// until the time of the predecessor is over. What was sent is the successor's
// alone, which answers when it goes on.
func TestMoveTLSFrozen(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_DRAIN="+span(4*time.Second))
	clients := d.idleTLS(50)
	first := d.status().PID
	d.put("freeze", "2 main")
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		_, _ = d.command("reload")
	}()
	d.eventually("the predecessor to end", func() bool { return !slices.Contains(d.processes(), first) })
	for _, c := range clients {
		c.ask("/")
	}
	for _, pid := range d.processes() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	<-reloaded
	for _, c := range clients {
		c.answer(2)
	}
}

// TestMoveTLSInPlaceStopped is told to stop while it drains in order to be
// replaced: what was queued is served here, for the last time.
func TestMoveTLSInPlaceStopped(t *testing.T) {
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_REPLACE=in-place")
	busy := d.dialTLS()
	clients := d.idleTLS(3)
	d.underWay(busy, "/?until=late")
	pid := d.status().PID
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.eventually("the sessions to be queued", func() bool { return establishedTwice(t, pid, pid) == 1 })
	clients[0].ask("/")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !clients[0].answer(1) {
		t.Error("the last answer does not say so")
	}
	d.put("late", "")
	busy.answer(1)
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}
