package goaway_test

import (
	"testing"
	"time"
)

// TestLate drains before the client has begun HTTP/2.
func TestLate(t *testing.T) {
	for _, polite := range []bool{true, false} {
		each(t, func(t *testing.T, secure bool) {
			s := start(t, secure, ok)
			plain := connect(t, s.addr(), false)
			s.listener.await(t, "Accept", func(_, total int) bool { return total == 1 })
			s.Drain(20 * time.Millisecond)
			raw := plain
			if secure {
				raw = encrypt(t, plain)
			}
			c := hello(t, raw)
			c.rude = !polite
			c.get("/")
			first, err := c.step()
			if err != nil || first.kind != typeSettings {
				t.Fatalf("first frame is of type %d: %v", first.kind, err)
			}
			c.finishWith(maxStream, 1)
			s.listener.awaitNone(t)
		})
	}
}

// TestNew has a client that has connected but not sent its first request yet. It
// reads of no GOAWAY before that.
func TestNew(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		c := hello(t, connect(t, s.addr(), secure))
		c.until("SETTINGS", func() bool { return c.greeted })
		s.Drain(long)
		c.send(typePing, 0, 0, []byte("a client"))
		for f := (frame{}); f.kind != typePing; {
			var err error
			if f, err = c.read(); err != nil || f.kind == typeGoAway {
				t.Fatalf("frame of type %d, %v", f.kind, err)
			}
		}
		c.get("/")
		c.finishWith(maxStream, 1)
		s.listener.awaitNone(t)
	})
}

// TestUnused has a client that never sends a request. Its connection ends when it
// is no longer new.
func TestUnused(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		begun := time.Now()
		c := hello(t, connect(t, s.addr(), secure))
		s.Drain(long)
		c.awaitGoAways(1)
		if took := time.Since(begun); took < 900*time.Millisecond {
			t.Errorf("GOAWAY after %v", took)
		}
		c.finishWith(maxStream, 0)
		s.listener.awaitNone(t)
	})
}
