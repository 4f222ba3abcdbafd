package goaway_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/goaway"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A waiter is a server whose handlers wait, and that knows for whom.
type waiter struct {
	*server
	streams chan *goaway.Streams
	finish  chan struct{}
}

const unsent = 300_000 // bytes of a response, more than a client makes room for

func startWaiter(t *testing.T, secure bool) *waiter {
	t.Helper()
	w := &waiter{streams: make(chan *goaway.Streams, 1), finish: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/body", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, unsent)) })
	mux.HandleFunc("/works", func(http.ResponseWriter, *http.Request) { <-w.finish })
	mux.HandleFunc("/hints", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</style.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		<-w.finish
	})
	mux.HandleFunc("/continues", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-w.finish
	})
	w.server = newServer(secure, mux)
	w.Drainer = prepared(t, w.Server, func(_ net.Conn, s *goaway.Streams) { w.streams <- s })
	w.listen(t)
	return w
}

// awaitWaiting waits until the open streams wait for whom they should.
func awaitWaiting(t *testing.T, s *goaway.Streams, silence time.Duration, responses, requests, handlers int) {
	t.Helper()
	var got, want = "", fmt.Sprint(responses, requests, handlers)
	if !patience.Until(limit, func() bool {
		got = fmt.Sprint(s.Waiting(silence))
		return got == want
	}) {
		t.Errorf("responses, requests and handlers that wait: %s, want %s", got, want)
	}
}

// TestWaiting tells for whom each stream waits, with net/http's HTTP/2 at the
// other end.
func TestWaiting(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := startWaiter(t, secure)
		c := dial(t, s.server)
		c.closed = true
		streams := <-s.streams
		awaitWaiting(t, streams, 0, 0, 0, 0)

		body, big := c.open("POST", "/body", 0), c.get("/big")
		c.send(typeData, 0, body, []byte("123"))
		c.until("the room to be used up", func() bool { return c.data[big] == 65535 })
		works := c.get("/works")
		awaitWaiting(t, streams, 0, 1, 1, 1) // there is no room for any response, but no other has begun
		awaitWaiting(t, streams, time.Hour, 0, 1, 2)

		c.send(typeWindow, 0, 0, binary.BigEndian.AppendUint32(nil, 2*unsent))
		awaitWaiting(t, streams, 0, 1, 1, 1)

		c.send(typeSettings, 0, 0, []byte{0, 3, 0, 0, 1, 0, 0, 4, 0, 1, 0, 0}) // a byte more for each, after another setting
		c.until("a byte more", func() bool { return c.data[big] == 65536 })
		awaitWaiting(t, streams, 0, 1, 1, 1)

		c.send(typeWindow, 0, big, binary.BigEndian.AppendUint32(nil, unsent))
		c.await(big)
		awaitWaiting(t, streams, 0, 0, 1, 1)
		c.send(typeData, flagEnd, body, nil)
		c.await(body)
		awaitWaiting(t, streams, 0, 0, 0, 1)
		close(s.finish)
		c.await(works)
		awaitWaiting(t, streams, 0, 0, 0, 0)

		gone := c.open("POST", "/body", 0)
		awaitWaiting(t, streams, 0, 0, 1, 0)
		c.send(typeReset, 0, gone, []byte{0, 0, 0, 8})
		awaitWaiting(t, streams, 0, 0, 0, 0)
	})
}

// TestWaitingWithoutRoom has a client leave no room for any response. Those that
// have begun wait for it, whatever they have written so far. Handlers that work
// do not, even if they have sent what comes before a response.
func TestWaitingWithoutRoom(t *testing.T) {
	each(t, func(t *testing.T, secure bool) {
		s := startWaiter(t, secure)
		c := dial(t, s.server)
		c.closed = true
		streams := <-s.streams

		big := c.get("/big")
		c.until("the room to be used up", func() bool { return c.data[big] == 65535 })
		c.get("/works")
		c.interim = 3
		c.get("/hints")
		for range 2 { // the second is encoded in another way
			body := c.open("POST", "/continues", 0, [2]string{"expect", "100-continue"}, [2]string{"content-length", "1"})
			c.send(typeData, flagEnd, body, []byte("x"))
		}
		c.until("what comes before the responses", func() bool { return c.interim == 0 })
		awaitWaiting(t, streams, 0, 1, 0, 4)
		c.send(typeSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0}) // no stream has any room
		awaitWaiting(t, streams, 0, 1, 0, 4)

		second := c.get("/big")
		c.until("another response to begin", func() bool { return c.headers[second] == 1 })
		awaitWaiting(t, streams, 0, 2, 0, 4)
		awaitWaiting(t, streams, time.Hour, 0, 0, 6)
		close(s.finish)
		awaitWaiting(t, streams, 0, 2, 0, 0)
	})
}

// TestIgnoredStreams does not count the streams that HTTP/2 ignores, since it
// has said so: they would wait for ever.
func TestIgnoredStreams(t *testing.T) {
	s := startWaiter(t, true)
	c := dial(t, s.server)
	c.rude = true
	streams := <-s.streams
	works := c.get("/works")
	awaitWaiting(t, streams, 0, 0, 0, 1)
	s.Drain(time.Millisecond)
	c.awaitGoAways(2)
	c.get("/")
	c.send(typePing, 0, 0, make([]byte, 8)) // HTTP/2 has read all before it answers
	if f, err := c.read(); err != nil || f.kind != typePing || f.flags != flagAck {
		t.Fatal(f, err)
	}
	awaitWaiting(t, streams, 0, 0, 0, 1)
	close(s.finish)
	c.await(works)
}

// TestNoStreamOpensTwice has a client send trailers for a stream that is over:
// HTTP/2 may ignore them, and no handler works for them.
func TestNoStreamOpensTwice(t *testing.T) {
	opens, resets := []byte("\x00\x00\x00\x01\x04\x00\x00\x00\x01"), []byte("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08")
	trailers := []byte("\x00\x00\x00\x01\x05\x00\x00\x00\x01")
	if n := goaway.Follow([][]byte{opens}, nil); n != 1 {
		t.Errorf("%d streams are open, want 1", n)
	}
	if n := goaway.Follow([][]byte{opens, resets, trailers}, nil); n != 0 {
		t.Errorf("%d streams are open, want none", n)
	}
}

// FuzzStreams has both ends send any frames, in any parts.
func FuzzStreams(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x05\x00\x00\x00\x01"), []byte("\x00\x00\x01\x00\x00\x00\x00\x00\x01x"), []byte{3, 9})
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff"), []byte("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"), []byte{12})
	f.Add([]byte("\x00\x00\x04\x08\x00\x00\x00\x00\x00\xff\xff\xff\xff"), []byte(nil), []byte{10, 1})
	f.Fuzz(func(t *testing.T, read, wrote, cuts []byte) {
		if n := goaway.Follow(split(read, cuts), split(wrote, cuts)); n > len(read)/9 {
			t.Errorf("%d streams are open of %d bytes", n, len(read))
		}
	})
}

// TestManyStreams has a client open streams that no server allows, which HTTP/2
// reads and ignores while its own GOAWAY waits for the client to read.
func TestManyStreams(t *testing.T) {
	var read [][]byte
	for id := range uint32(2 * goaway.MaxOpen) {
		read = append(read, binary.BigEndian.AppendUint32([]byte{0, 0, 0, typeHeaders, flagEnd}, 2*id+1))
	}
	if open := goaway.Follow(read, nil); open != goaway.MaxOpen {
		t.Errorf("%d streams are open, want %d", open, goaway.MaxOpen)
	}
}

// TestAsksOnce has a client that reads nothing open and give up streams: while a
// PING waits to be sent there is no other, whatever the client says that it has
// read.
func TestAsksOnce(t *testing.T) {
	for _, acknowledges := range []bool{false, true} {
		if n := goaway.AskOften(100, acknowledges); n > 2 { // one is being sent
			t.Errorf("%d PINGs with ACKs %t", n, acknowledges)
		}
	}
}
