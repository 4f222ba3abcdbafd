package goaway_test

import (
	"net/http"
	"testing"
)

// TestStalled drains while answers wait for the client's flow control window.
func TestStalled(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		const size = 300_000
		s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				_, _ = w.Write(make([]byte, size))
			}
		}))
		c := dial(t, s)
		c.closed = true
		a, b := c.get("/a"), c.get("/b")
		c.until("the window to be used up", func() bool { return c.data[a]+c.data[b] == 65535 })
		s.Drain(long)
		c.until("PING", func() bool { return len(c.pings) == 1 })
		c.closed = false
		for _, id := range []uint32{a, b} {
			if err := c.grant(id, 65535); err != nil {
				t.Fatal(err)
			}
		}
		c.finish()
		if c.data[a] != size || c.data[b] != size {
			t.Errorf("got %d and %d bytes", c.data[a], c.data[b])
		}
	})
}

// TestUnread drains while the server's writes block, because the client reads
// nothing. Drain must not wait, and when the client reads again it gets all.
func TestUnread(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		const size = 20 << 20
		s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				_, _ = w.Write(make([]byte, size))
			}
		}))
		c := dial(t, s)
		id := c.get("/")
		c.await(id)
		window := []byte{0x30, 0, 0, 0}
		id = c.get("/big")
		c.send(typeWindow, 0, 0, window)
		c.send(typeWindow, 0, id, window)
		c.closed = true
		c.until("the answer to begin", func() bool { return c.data[id] > 0 })
		s.Drain(long)
		c.finish()
		if c.data[id] != size {
			t.Errorf("got %d bytes", c.data[id])
		}
	})
}

// TestGone has the caller close what never ends: a client that reads nothing,
// one that answers nothing, one that is in the middle of a frame.
func TestGone(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				_, _ = w.Write(make([]byte, 20<<20))
			}
		}))
		reader, half := dial(t, s), dial(t, s)
		window := []byte{0x30, 0, 0, 0}
		id := reader.get("/big")
		reader.send(typeWindow, 0, 0, window)
		reader.send(typeWindow, 0, id, window)
		if _, err := half.Write([]byte{0, 0, 100, 0}); err != nil {
			t.Fatal(err)
		}
		dead := dial(t, s)
		dead.get("/big")
		s.Drain(long)
		_ = dead.Close()
		s.listener.await(t, "the dead client's connection", func(open, _ int) bool { return open == 2 })
		s.listener.closeAll()
		s.listener.awaitNone(t)
	})
}
