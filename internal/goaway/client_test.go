package goaway_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// Frame types and flags (RFC 9113, section 6).
const (
	typeData, typeHeaders, typeReset, typeSettings = 0, 1, 3, 4
	typePing, typeGoAway, typeWindow               = 6, 7, 8
	flagEnd, flagAck, flagEndHeaders               = 1, 1, 4

	maxStream = 1<<31 - 1
)

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A client speaks HTTP/2 by hand, and never retries.
type client struct {
	t testing.TB
	net.Conn
	rude   bool   // does not answer PINGs
	closed bool   // does not open the flow control windows
	ended  func() // called with each answer's end

	greeted  bool            // the server's SETTINGS have been read
	interim  int             // answers to come of status 1xx, before the others
	next     uint32          // the next stream's id
	answered map[uint32]bool // streams whose answer has ended, whole
	data     map[uint32]int
	headers  map[uint32]int // header blocks seen: the answer's, its trailers
	goAways  []uint32
	pings    [][]byte
}

type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// connect makes a TCP connection, with TLS if secure.
func connect(t testing.TB, addr string, secure bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(patience.Deadline(limit))
	if secure {
		return encrypt(t, c)
	}
	return c
}

func encrypt(t testing.TB, c net.Conn) *tls.Conn {
	t.Helper()
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := tc.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("negotiated %q", got)
	}
	return tc
}

// hello sends the preface.
func hello(t testing.TB, c net.Conn) *client {
	t.Helper()
	cl := &client{t: t, Conn: c, next: 1, answered: map[uint32]bool{}, data: map[uint32]int{}, headers: map[uint32]int{}}
	if _, err := io.WriteString(c, clientPreface); err != nil {
		t.Fatal(err)
	}
	cl.send(typeSettings, 0, 0, nil)
	return cl
}

// dial makes a connection that has had one answer.
func dial(t testing.TB, s *server) *client {
	t.Helper()
	c := hello(t, connect(t, s.addr(), s.secure))
	c.await(c.get("/"))
	return c
}

func (c *client) send(kind, flags byte, stream uint32, payload []byte) {
	c.t.Helper()
	if err := c.trySend(kind, flags, stream, payload); err != nil {
		c.t.Fatalf("sending frame of type %d: %v", kind, err)
	}
}

func (c *client) trySend(kind, flags byte, stream uint32, payload []byte) error {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	f = binary.BigEndian.AppendUint32(f, stream)
	_, err := c.Write(append(f, payload...))
	return err
}

// get opens a stream with a whole request, and returns its id.
func (c *client) get(path string) uint32 {
	c.t.Helper()
	return c.open("GET", path, flagEnd)
}

// open opens a stream.
func (c *client) open(method, path string, flags byte, more ...[2]string) uint32 {
	c.t.Helper()
	var block []byte
	for _, h := range append([][2]string{{":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "x"}}, more...) {
		block = append(block, 0, byte(len(h[0]))) // a literal, not indexed (RFC 7541, section 6.2.2)
		block = append(block, h[0]...)
		block = append(block, byte(len(h[1])))
		block = append(block, h[1]...)
	}
	id := c.next
	c.next += 2
	c.send(typeHeaders, flags|flagEndHeaders, id, block)
	return id
}

func (c *client) read() (frame, error) {
	var head [9]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: head[3], flags: head[4], stream: binary.BigEndian.Uint32(head[5:])}
	f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err := io.ReadFull(c.Conn, f.payload)
	return f, err
}

// step reads a frame and does what a client does with it.
func (c *client) step() (frame, error) {
	f, err := c.read()
	if err != nil {
		return f, err
	}
	switch f.kind {
	case typeSettings:
		if c.greeted = true; f.flags&flagAck == 0 {
			err = c.trySend(typeSettings, flagAck, 0, nil)
		}
	case typePing:
		if f.flags&flagAck != 0 {
			c.t.Error("a PING ACK for no PING")
		}
		c.pings = append(c.pings, f.payload)
		if !c.rude {
			err = c.trySend(typePing, flagAck, 0, f.payload)
		}
	case typeGoAway:
		c.goAways = append(c.goAways, binary.BigEndian.Uint32(f.payload))
		if code := binary.BigEndian.Uint32(f.payload[4:]); code != 0 {
			c.t.Errorf("GOAWAY with code %d", code)
		}
	case typeReset:
		c.t.Errorf("stream %d reset", f.stream)
	case typeHeaders:
		if c.interim > 0 {
			c.interim--
			break
		}
		if c.headers[f.stream]++; c.headers[f.stream] == 1 && f.payload[0] != 0x88 { // :status 200
			c.t.Errorf("stream %d: status is not 200", f.stream)
		}
		c.answered[f.stream] = f.flags&flagEnd != 0
	case typeData:
		c.data[f.stream] += len(f.payload)
		c.answered[f.stream] = f.flags&flagEnd != 0
		if !c.closed {
			err = c.grant(f.stream, len(f.payload))
		}
	}
	if c.ended != nil && c.answered[f.stream] {
		c.ended()
	}
	return f, err
}

// grant opens the flow control windows for n more bytes.
func (c *client) grant(stream uint32, n int) error {
	if n == 0 {
		return nil
	}
	size := binary.BigEndian.AppendUint32(nil, uint32(n))
	if c.answered[stream] {
		return c.trySend(typeWindow, 0, 0, size)
	}
	return errors.Join(c.trySend(typeWindow, 0, 0, size), c.trySend(typeWindow, 0, stream, size))
}

// until reads frames until the condition holds.
func (c *client) until(what string, ok func() bool) {
	c.t.Helper()
	for !ok() {
		if _, err := c.step(); err != nil {
			c.t.Fatalf("waiting for %s: %v (GOAWAYs %v, answered %v)", what, err, c.goAways, c.answered)
		}
	}
}

func (c *client) await(stream uint32) {
	c.t.Helper()
	c.until("an answer", func() bool { return c.answered[stream] })
}

func (c *client) awaitGoAways(n int) {
	c.t.Helper()
	c.until("GOAWAY", func() bool { return len(c.goAways) >= n })
}

// finish reads until the server closes the connection, and checks that it did so
// after the answers to all streams.
func (c *client) finish() {
	c.t.Helper()
	c.drain()
	if missing := c.missing(); len(missing) > 0 {
		c.t.Errorf("never answered: streams %v (GOAWAYs %v)", missing, c.goAways)
	}
}

// finishWith is finish for a client that wants GOAWAYs with these last streams.
func (c *client) finishWith(goAways ...uint32) {
	c.t.Helper()
	c.finish()
	if !slices.Equal(c.goAways, goAways) {
		c.t.Errorf("GOAWAYs %v, want %v", c.goAways, goAways)
	}
}

// drain reads to the end of the connection.
func (c *client) drain() {
	c.t.Helper()
	for {
		_, err := c.step()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			c.t.Fatal("the server does not close the connection")
		}
		if err != nil {
			return
		}
	}
}

// missing returns the streams without a whole answer.
func (c *client) missing() (ids []uint32) {
	for id := uint32(1); id < c.next; id += 2 {
		if !c.answered[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
