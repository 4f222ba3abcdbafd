package goaway_test

import (
	"slices"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestLate drains before the client has begun HTTP/2.
func TestLate(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s, c := late(t, secure, long)
		c.finishWith(maxStream, 1)
		s.listener.awaitNone(t)
	})
}

// TestLateSilent is that with a client that leaves PINGs unanswered. A request
// that comes after the linger is lost, and one that comes just before it may be
// faster than the first GOAWAY: a busy machine needs a longer linger.
func TestLateSilent(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		for linger := 20 * time.Millisecond; ; linger *= 2 {
			s, c := late(t, secure, linger)
			c.rude = true
			c.drain()
			s.listener.awaitNone(t)
			if len(c.missing()) == 0 && slices.Equal(c.goAways, []uint32{maxStream, 1}) {
				return
			}
			if linger > patience.Of(5*time.Second) {
				t.Fatalf("with a linger of %v: never answered: streams %v, GOAWAYs %v", linger, c.missing(), c.goAways)
			}
		}
	})
}

// late has a client ask a server that drains, and read the first frame.
func late(t *testing.T, secure bool, linger time.Duration) (*server, *client) {
	t.Helper()
	s := start(t, secure, ok)
	raw := connect(t, s.addr(), false)
	s.listener.await(t, "Accept", func(_, total int) bool { return total == 1 })
	s.Drain(linger)
	if secure {
		raw = encrypt(t, raw)
	}
	c := hello(t, raw)
	c.get("/")
	first, err := c.step()
	if err != nil || first.kind != typeSettings {
		t.Fatalf("first frame is of type %d: %v", first.kind, err)
	}
	return s, c
}

// TestNew has a client that has connected but not sent its first request yet. It
// reads of no GOAWAY before that, unless a busy machine takes so long that it is
// no longer new.
func TestNew(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		for range 10 {
			begun := time.Now()
			s := start(t, secure, ok)
			c := hello(t, connect(t, s.addr(), secure))
			c.until("SETTINGS", func() bool { return c.greeted })
			s.Drain(long)
			c.send(typePing, 0, 0, []byte("a client"))
			f := frame{}
			for f.kind != typePing && f.kind != typeGoAway {
				var err error
				if f, err = c.read(); err != nil {
					t.Fatal(err)
				}
			}
			if f.kind == typeGoAway {
				if took := time.Since(begun); took < 900*time.Millisecond {
					t.Fatalf("GOAWAY after %v", took)
				}
				continue
			}
			c.get("/")
			c.finishWith(maxStream, 1)
			s.listener.awaitNone(t)
			return
		}
		t.Error("GOAWAY, as always")
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
