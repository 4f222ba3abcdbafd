package goaway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// youth is how long a new connection is left alone before its first request. Its
// client has connected in order to send one, and may not be prepared to find,
// before it has, that the connection goes away: it would have to connect again.
const youth = time.Second

// moment is how long a client may still send what it had begun to send when it
// acknowledged the first GOAWAY. net/http's client takes a stream id, and then
// the lock under which it writes (writeRequest in h2_bundle.go): a PING ACK may
// overtake the HEADERS, by as long as a busy machine keeps a goroutine waiting.
const moment = 20 * time.Millisecond

// prefaceLimit is how long a client may take for its preface, as in net/http
// (prefaceTimeout in h2_bundle.go).
const prefaceLimit = 10 * time.Second

var errGreeting = errors.New("goaway: not the preface of HTTP/2")

// The stages of a connection, in order.
const (
	serving   int32 = iota
	due             // to be ended, once the client has had its first request
	announced       // the first GOAWAY is sent, or will be between the next two frames
	told            // the client has acknowledged it, and a moment has passed
	leaving         // HTTP/2 has been told that the client goes away
)

// conn stands between HTTP/2 and a connection and sees the plaintext of both
// directions. HTTP/2 reads on one goroutine and writes on one at a time.
type conn struct {
	net.Conn // what the server knows: a *tls.Conn, or what Accept returned

	born  time.Time
	stage atomic.Int32
	used  atomic.Bool  // a stream has been opened
	idle  atomic.Bool  // no stream is open
	asked atomic.Int64 // PINGs whether the client has anything more to say
	still atomic.Bool  // no stream has been opened since the last of them

	asking atomic.Bool // a goroutine is about to ask: see askOnce

	streams *Streams

	// The reader's, and before there is one HTTP/2's serving goroutine's.
	preface bool // to be read before the first frame
	lost    error
	answers int64 // to PINGs that ask
	head    [pingSize]byte
	feed    []byte  // to be read by HTTP/2 before anything else
	left    int     // bytes of the current frame to be passed from the client
	payload entries // those bytes

	mu      sync.Mutex // held while writing
	out     framing    // what HTTP/2 has written
	pending []byte     // frames of ours that wait for a place between two of HTTP/2's
	begun   bool       // part of pending has been written
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, born: time.Now(), streams: newStreams()}
	c.out.streams = c.streams
	return c
}

// tlsConn is a conn over TLS. HTTP/2 asks for the ConnectionState method
// (connectionStater in h2_bundle.go) to fill in Request.TLS.
type tlsConn struct {
	*conn
	state func() tls.ConnectionState
}

func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.state() }

// layer finds the conn in what HTTP/2 calls ConnState with.
func (c *conn) layer() *conn { return c }

// begin starts the end of the connection: at once, or if it is new after its
// first request, or half of linger.
func (c *conn) begin(linger time.Duration) {
	c.stage.Store(due)
	wait := min(youth-time.Since(c.born), linger/2)
	if c.used.Load() || wait <= 0 {
		c.announce()
		return
	}
	time.AfterFunc(wait, c.announce)
}

// use notes that the client opens a stream.
func (c *conn) use() {
	if !c.used.Load() {
		c.used.Store(true)
		c.announce()
	}
}

// announce sends the first GOAWAY, if it is due.
func (c *conn) announce() {
	if c.stage.CompareAndSwap(due, announced) {
		go c.send(frameAnnounce)
	}
}

// tell begins the wait for the moment in which no stream is open.
func (c *conn) tell() {
	if c.stage.CompareAndSwap(announced, told) && c.idle.Load() {
		c.askOnce()
	}
}

// askOnce has a goroutine ask, unless one is about to. A client that reads nothing
// lets none of them send, whatever it says that it has read.
func (c *conn) askOnce() {
	if !c.asking.Swap(true) {
		go c.ask()
	}
}

// ask has the client say whether it has sent anything more. What it has may be
// here already, and wait for this process to read it.
func (c *conn) ask() {
	c.asked.Add(1) // so that the ACK of one before does not count
	c.still.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking.Store(false)
	c.sendLocked(framePingIdle)
}

// answered is called when the client has acknowledged a PING that asks. Only
// the ACK of the last says that the client has sent no stream since.
func (c *conn) answered() {
	c.answers++
	still := c.still.Load() // before asked, which ask raises before it sets still
	if c.stage.Load() != told || c.answers < c.asked.Load() || !c.idle.Load() {
		return
	}
	if !still {
		c.askOnce()
	} else if c.stage.CompareAndSwap(told, leaving) {
		c.feed = append(slices.Clip(c.feed), frameLeave...)
	}
}

// setIdle notes whether streams are open. HTTP/2's serving goroutine calls it.
func (c *conn) setIdle(idle bool) {
	c.idle.Store(idle)
	if idle && c.stage.Load() == told {
		c.askOnce()
	}
}

// greet reads the client's preface, if that is still to be done. It runs inside
// the first call of ConnState, which is where net/http has read the preface, so
// that all its timeouts begin when they do without us. Without a ConnState hook
// it runs before the first frame is read.
func (c *conn) greet() error {
	if !c.preface {
		return c.lost
	}
	c.preface = false
	_ = c.SetReadDeadline(time.Now().Add(prefaceLimit))
	var got [len(preface)]byte
	_, c.lost = io.ReadFull(c.Conn, got[:])
	if c.lost == nil && string(got[:]) != preface {
		c.lost = errGreeting
	}
	_ = c.SetReadDeadline(time.Time{})
	return c.lost
}

// Read reads what the client sent, and what HTTP/2 is told in its name.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.feed) == 0 && c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.feed) > 0 {
		n := copy(p, c.feed)
		c.feed = c.feed[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	c.payload.add(p[:n], c.readEntry)
	return n, err
}

// next prepares the next frame for Read. HTTP/2 asks for a frame only when it
// has processed the one before (readFrames in h2_bundle.go), so c.idle is true
// to all frames before this one.
func (c *conn) next() error {
	if err := c.greet(); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.Conn, c.head[:headSize]); err != nil {
		return err
	}
	if c.head[3] == typeHeaders {
		c.still.Store(false)
		c.use()
	}
	c.streams.read(c.head[:])
	c.payload.begin(c.head[:])
	if !isPingAck(c.head[:]) {
		c.feed, c.left = c.head[:headSize], payload(c.head[:])
		return nil
	}
	if _, err := io.ReadFull(c.Conn, c.head[headSize:]); err != nil {
		return err
	}
	c.feed = c.head[:] // HTTP/2 ignores ACKs of PINGs that are not its own
	return c.acknowledged(string(c.head[headSize:]))
}

func (c *conn) readEntry(entry []byte) { c.streams.readEntry(&c.payload, entry) }

// acknowledged is called when the client has acknowledged a PING.
func (c *conn) acknowledged(token string) error {
	switch token {
	case tokenAnnounce:
		if c.stage.Load() == announced { // else each that is made up would cost a timer
			time.AfterFunc(moment, c.tell)
		}
	case tokenIdle:
		c.answered()
	case tokenFarewell:
		if c.stage.Load() == leaving {
			return io.EOF // upon which HTTP/2 closes the connection
		}
	}
	return nil
}

// Write writes frames of HTTP/2, whole ones or parts of them, and between two
// of them those of ours that wait.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && c.stage.Load() != leaving {
		n, err := c.Conn.Write(p)
		c.out.advance(p[:n])
		return n, err
	}
	done := 0
	for done < len(p) {
		if err := c.flushLocked(); err != nil {
			return done, err
		}
		n, err := c.writeFrameLocked(p[done:])
		done += n
		if err != nil {
			return done, err
		}
	}
	_ = c.flushLocked() // what it could not write, the next Write will
	return done, nil
}

// writeFrameLocked writes the frame in which p begins, or as much of it as p holds.
func (c *conn) writeFrameLocked(p []byte) (int, error) {
	p = p[:c.out.rest(p)]
	out := p
	if c.out.between() && bytes.Equal(p, frameFarewellAck) && c.stage.Load() == leaving {
		// HTTP/2 answers the PING that it was told in the client's name. It is
		// never in two parts: by now HTTP/2's buffer is empty but for GOAWAY.
		out = frameFarewell
	}
	n, err := c.Conn.Write(out)
	c.out.advance(p[:n])
	return n, err
}

// send writes frames of ours, now or as soon as HTTP/2 is between two frames.
func (c *conn) send(frames []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendLocked(frames)
}

func (c *conn) sendLocked(frames []byte) {
	c.pending = append(c.pending, frames...)
	_ = c.flushLocked() // HTTP/2 finds out itself when the connection is broken
}

// flushLocked writes the frames that wait, if this is a place for them.
func (c *conn) flushLocked() error {
	if len(c.pending) == 0 || !c.out.between() {
		return nil
	}
	if c.out.goAway && !c.begun && c.pending[3] == typeGoAway {
		// HTTP/2 has ended the connection itself. The last stream id of a
		// GOAWAY must not be larger than that of the one before.
		c.pending = c.pending[len(frameGoAway):]
	}
	n, err := c.Conn.Write(c.pending)
	c.pending = c.pending[n:]
	c.begun = n > 0 && len(c.pending) > 0
	return err
}
