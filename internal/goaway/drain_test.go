package goaway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestStreamsOnTheirWay opens streams that cross with GOAWAY: the client reads
// it, but had sent them before.
func TestStreamsOnTheirWay(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		c := dial(t, s)
		c.rude = true
		s.Drain(long)
		c.awaitGoAways(1)
		for range 50 {
			c.get("/")
		}
		c.until("PING", func() bool { return len(c.pings) == 1 })
		c.rude = false
		c.send(typePing, flagAck, 0, c.pings[0])
		c.finishWith(maxStream, c.next-2)
		s.listener.awaitNone(t)
	})
}

// TestShutdownAlone shows that the same client loses requests with net/http's
// own way. If it fails, this package has become superfluous.
func TestShutdownAlone(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := newServer(secure, ok)
		s.listen(t)
		c := dial(t, s)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }()
		c.awaitGoAways(1)
		for range 50 {
			c.get("/")
		}
		c.drain()
		if len(c.missing()) != 50 {
			t.Errorf("net/http answered %d of 50 streams that crossed with its GOAWAY", 50-len(c.missing()))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestUnderFire drains while clients open streams as fast as the server allows,
// until they read GOAWAY.
func TestUnderFire(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		for range 20 {
			s := start(t, secure, ok)
			c := dial(t, s)
			c.rude = true
			room := make(chan struct{}, 100)
			c.ended = func() { <-room }
			stop, opened := make(chan struct{}), make(chan uint32)
			writer := *c // its own count of streams
			go func() {
				for {
					select {
					case <-stop:
						opened <- writer.next
						return
					case room <- struct{}{}:
						writer.get("/")
					}
				}
			}()
			c.await(21)
			s.Drain(long)
			c.until("PING", func() bool { return len(c.pings) > 0 })
			close(stop)
			c.next = <-opened
			c.rude = false
			c.send(typePing, flagAck, 0, c.pings[0])
			c.finish()
		}
	})
}

// TestBehindAck has frames of the client wait to be read here when the moment
// after its ACK is over: one stream is opened and reset, so that none is left,
// and then another is opened. That is answered.
func TestBehindAck(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		c := dial(t, s)
		s.Drain(long)
		c.until("PING", func() bool { return len(c.pings) == 1 })
		c.rude = true
		c.until("the question", func() bool { return len(c.pings) == 2 })
		reset := c.open("POST", "/", 0)
		c.send(typeReset, 0, reset, []byte{0, 0, 0, 8})
		c.answered[reset] = true
		c.await(c.get("/"))
		c.rude = false
		for _, token := range c.pings[1:] {
			c.send(typePing, flagAck, 0, token)
		}
		c.finish()
		s.listener.awaitNone(t)
	})
}

// TestIdle looks at the whole conversation with a client that has nothing to do.
func TestIdle(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		atOnce(t, func() time.Duration {
			s := start(t, secure, ok)
			c := dial(t, s)
			s.Drain(long)
			s.Drain(0) // does nothing
			begun := time.Now()
			c.finish()
			took := time.Since(begun)
			if want := []uint32{maxStream, 1}; !slices.Equal(c.goAways, want) || len(c.pings) != 3 {
				t.Errorf("GOAWAYs %v, PINGs %q", c.goAways, c.pings)
			}
			s.listener.awaitNone(t)
			return took
		})
	})
}

// atOnce checks that the end of a conversation does not wait for net/http's
// second (goAwayTimeout). If it did, it always would; a busy machine may take
// that long now and then.
func atOnce(t *testing.T, talk func() (took time.Duration)) {
	t.Helper()
	var took time.Duration
	for range 10 {
		if took = talk(); took < 900*time.Millisecond || t.Failed() {
			return
		}
	}
	t.Errorf("took %v, as always: that was net/http's second (goAwayTimeout)", took)
}

// TestSilent leaves PINGs unanswered: after the linger net/http's way it is.
func TestSilent(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		c := dial(t, s)
		c.rude = true
		s.Drain(20 * time.Millisecond)
		c.finishWith(maxStream, 1)
		s.listener.awaitNone(t)
	})
}

// TestDeaf opens streams for ever, in spite of GOAWAY. None is lost before the
// linger ends, and the connection ends after it.
func TestDeaf(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		c := hello(t, connect(t, s.addr(), secure))
		last := c.open("POST", "/", 0)
		s.Drain(50 * time.Millisecond)
		for len(c.goAways) < 2 {
			next := c.open("POST", "/", 0) // so that there is always one
			c.send(typeData, flagEnd, last, nil)
			c.until("an answer or GOAWAY", func() bool { return c.answered[last] || len(c.goAways) == 2 })
			last = next
		}
		c.send(typeData, flagEnd, last, nil)
		c.drain()
		for _, id := range c.missing() {
			if id <= c.goAways[1] {
				t.Errorf("stream %d not answered, though before the last, %d", id, c.goAways[1])
			}
		}
		s.listener.awaitNone(t)
	})
}

// TestLongRequests has uploads and downloads under way while the drain begins,
// with trailers.
func TestLongRequests(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		release, begun := make(chan struct{}), make(chan struct{}, 2)
		s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			w.Header().Set("Trailer", "X-End")
			_, _ = w.Write(make([]byte, 5000))
			_ = http.NewResponseController(w).Flush()
			begun <- struct{}{}
			if n, err := io.Copy(io.Discard, r.Body); err != nil || (r.Method == http.MethodPost && n != 3*9000) {
				t.Errorf("body of %d bytes: %v", n, err)
			}
			<-release
			_, _ = w.Write(make([]byte, 5000))
			w.Header().Set("X-End", "yes")
		}))
		c := dial(t, s)
		down, up := c.get("/down"), c.open("POST", "/up", 0)
		c.send(typeData, 0, up, make([]byte, 9000))
		<-begun
		<-begun
		s.Drain(long)
		c.until("PING", func() bool { return len(c.pings) == 1 })
		c.send(typeData, 0, up, make([]byte, 9000))
		c.send(typeData, flagEnd, up, make([]byte, 9000))
		close(release)
		c.finish()
		for _, id := range []uint32{down, up} {
			if c.data[id] != 10000 || c.headers[id] != 2 {
				t.Errorf("stream %d: %d bytes, %d header blocks", id, c.data[id], c.headers[id])
			}
		}
		s.listener.awaitNone(t)
	})
}

// TestSizes ends connections with last answers of every kind: HTTP/2 writes them
// through its buffer of 4096 bytes, past it, or both.
func TestSizes(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		for _, size := range []int{0, 1, 4000, 4086, 4087, 4088, 4096, 4097, 16383, 16384, 16385, 1 << 20} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				atOnce(t, func() time.Duration {
					release := make(chan struct{})
					s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/" {
							return
						}
						<-release
						w.Header().Set("Content-Length", fmt.Sprint(size))
						_, _ = w.Write(make([]byte, size))
					}))
					c := dial(t, s)
					a, b := c.get("/a"), c.get("/b")
					s.Drain(long)
					c.until("PING", func() bool { return len(c.pings) == 1 })
					begun := time.Now()
					close(release)
					c.finish()
					took := time.Since(begun)
					if c.data[a] != size || c.data[b] != size {
						t.Errorf("got %d and %d bytes", c.data[a], c.data[b])
					}
					return took
				})
			})
		}
	})
}

// TestCancelled ends with a stream that its client resets.
func TestCancelled(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		begun := make(chan struct{}, 1)
		s := start(t, secure, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			begun <- struct{}{}
			<-r.Context().Done()
		}))
		c := dial(t, s)
		id := c.get("/wait")
		<-begun
		s.Drain(long)
		c.until("PING", func() bool { return len(c.pings) == 1 })
		c.send(typeReset, 0, id, []byte{0, 0, 0, 8})
		c.answered[id] = true
		c.finish()
		s.listener.awaitNone(t)
	})
}

// TestOwnGoAway has HTTP/2 say GOAWAY itself, as a handler's "Connection: close"
// makes it do. The last stream id must not grow afterwards.
func TestOwnGoAway(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		release := make(chan struct{})
		s := start(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/close":
				w.Header().Set("Connection", "close")
			case "/wait":
				<-release
			}
		}))
		c := dial(t, s)
		c.get("/wait")
		c.get("/close")
		c.awaitGoAways(1)
		s.Drain(long)
		c.until("PING", func() bool { return len(c.pings) == 1 })
		close(release)
		c.finishWith(5)
	})
}

// TestHundred drains a hundred connections with ten streams each.
func TestHundred(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		var clients []*client
		for range 100 {
			c := dial(t, s)
			clients = append(clients, c)
			for range 10 {
				c.get("/")
			}
		}
		s.Drain(long)
		done := make(chan struct{})
		for _, c := range clients {
			go func() {
				c.finish()
				done <- struct{}{}
			}()
		}
		for range clients {
			<-done
		}
		s.listener.awaitNone(t)
	})
}

// TestServerShutdown has the user call Shutdown.
func TestServerShutdown(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := start(t, secure, ok)
		c := dial(t, s)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }()
		c.finish()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(c.goAways) == 0 || c.goAways[0] != maxStream {
			t.Errorf("GOAWAYs %v", c.goAways)
		}
	})
}
