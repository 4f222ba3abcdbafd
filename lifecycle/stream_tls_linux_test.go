package lifecycle_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestStreamTLSKilled kills either process at steps of a reload that hands
// sessions over. A session ends with who has it, and a client that goes on never
// sees a record whose number was used before: it would tell of a bad record.
func TestStreamTLSKilled(t *testing.T) {
	for _, kill := range []string{"2 take over", "2 serving", "2 main", "1 hand over", "1 handed over"} {
		t.Run(strings.ReplaceAll(kill, " ", "-"), func(t *testing.T) {
			d := startEcho(t, "tls", "HEIRLOOM_TEST_REPLACE=beside", "HEIRLOOM_TEST_DRAIN=20s")
			var talking sync.WaitGroup
			var over atomic.Bool
			said := make(chan struct{}, 20)
			for range cap(said) {
				c := d.dial()
				talking.Go(func() {
					if err := c.talk(&over, said); err != nil && !isEndOfConnection(err) {
						t.Errorf("a session did not just end: %v", err)
					}
				})
			}
			for range cap(said) {
				<-said
			}
			d.put("kill", kill)
			_, _ = d.command("reload")
			d.eventually("the kill", func() bool { return !exists(filepath.Join(d.dir, "kill")) })
			over.Store(true)
			talking.Wait()
		})
	}
}

var errTalk = errors.New("an answer to something else")

// talk says lines, and checks the answers, until it is over or the server says
// goodbye. It tells when it has begun.
func (c *client) talk(over *atomic.Bool, said chan<- struct{}) error {
	for n := 0; !over.Load(); n++ {
		_ = c.SetDeadline(patience.Deadline(time.Minute))
		if _, err := fmt.Fprintf(c, "line %d\n", n); err != nil {
			return err
		}
		line, err := c.reader.ReadString('\n')
		switch {
		case err != nil:
			return err
		case strings.Contains(line, "no successor"):
			return nil
		case !strings.HasSuffix(line, fmt.Sprintf(" line %d\n", n)):
			return fmt.Errorf("%w: %q", errTalk, line)
		}
		if n == 10 {
			said <- struct{}{}
		}
	}
	return nil
}

// TestStreamTLSStays has sessions that cannot move, in a service where others
// do: of TLS 1.2, and all when the next process does not take them.
func TestStreamTLSStays(t *testing.T) {
	d := startEcho(t, "tls", "HEIRLOOM_TEST_REPLACE=beside")
	old, moves := d.dialWith(&tls.Config{MaxVersion: tls.VersionTLS12}), d.dial()
	old.sayHalf("half")
	moves.sayHalf("half")
	d.reload()
	old.expect(`1 unsupported, with "half"`)
	old.closed()
	moves.say("\n")
	moves.expect("2 half")
	status := d.status()
	if status.TLS == nil || status.TLS.Arrived != 1 {
		t.Errorf("status %+v, want one session that has arrived", status.TLS)
	}
	d.put("stay", "")
	moves.sayHalf("half")
	d.reload() // into one without Options.MoveTLS
	moves.expect(`2 no successor, with "half"`)
	moves.closed()
}
