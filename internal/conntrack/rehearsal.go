package conntrack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// rehearsalLimit bounds a rehearsal in which net/http waits for what never
// comes. One that goes well takes a tenth of a millisecond.
const rehearsalLimit = 5 * time.Second

// errRehearsal is matched by what Rehearse returns.
var errRehearsal = errors.New("net/http behaves differently")

// Rehearse has this program's net/http serve two connections in memory, with
// the time limits of s.HTTP. It returns what a connection at rest relies on and
// did not find: then nothing must move from s, though its connections are
// followed all the same.
//
// How a conn judges whether its server waits for a request, and what a woken
// Read leads to, is not in the documentation of net/http: it was read from its
// source. A release that does it otherwise would move a connection with half a
// request in it, or none at all. So the conn of the rehearsal is a real one.
func (s *Server) Rehearse() error {
	err := rehearse(s.HTTP, func(c *rehearsedConn) net.Conn { return c })
	s.proven = err == nil
	return err
}

// rehearse has net/http see what seenAs makes of a connection.
func rehearse(server *http.Server, seenAs func(*rehearsedConn) net.Conn) error {
	if server.Protocols != nil && !server.Protocols.HTTP1() {
		return nil
	}
	for _, lines := range [][]line{requestLines, nil} {
		if err := newRehearsal(server, lines).run(seenAs); err != nil {
			return fmt.Errorf("%w: %w", errRehearsal, err)
		}
	}
	return nil
}

// A line is what the client of a rehearsal sends when all complete requests
// before it are answered, and what is true afterwards, once the server waits.
type line struct {
	send     string
	requests int  // complete ones, in all
	rests    bool // no byte of another
}

const rehearsedHead = "Host: a\r\n\r\n"
const rehearsedGet = "GET / HTTP/1.1\r\n" + rehearsedHead

// requestLines tell apart all that conn has to tell apart: a request that has
// begun shows in a byte that was read, in how long the next Read is, or in
// nothing but a second deadline, where the first line came with the request
// before and filled the buffer by itself.
var requestLines = []line{
	{rehearsedGet[:20], 0, false},
	{rehearsedGet[20:], 1, true},
	{rehearsedGet + "G", 2, false},
	{rehearsedGet[1:] + "GET / HTTP/1.1\r\n", 3, false},
	{rehearsedHead, 4, true},
	{rehearsedGet + rehearsedGet, 6, true},
	{"GET / HTTP/1.1\r\n", 6, false},
	{rehearsedHead, 7, true},
	{"PUT / HTTP/1.1\r\nContent-Length: 2\r\n" + rehearsedHead + "1", 7, false},
	{"2", 8, true},
}

// A rehearsal is the client of one connection in memory, the network, and the
// Sink that the connection goes to. All of it runs on net/http's goroutines.
type rehearsal struct {
	server *Server
	conn   *rehearsedConn
	over   chan struct{} // closed when net/http is done, or the time is over

	mu      sync.Mutex
	wake    sync.Cond
	lines   []line // to come
	said    line   // the last one
	input   []byte
	output  int
	idle    int  // how often the server became idle
	expired bool // the read deadline is over
	leaving bool // the drain has begun
	passed  bool // the connection
	done    bool
	fault   error // the first
}

var _ Sink = (*rehearsal)(nil)

func newRehearsal(like *http.Server, lines []line) *rehearsal {
	r := &rehearsal{over: make(chan struct{}), lines: lines, said: line{rests: true}}
	r.wake.L = &r.mu
	registry := New(Config{})
	registry.LeaveTo(r)
	server := &http.Server{
		ReadTimeout:       like.ReadTimeout,
		ReadHeaderTimeout: like.ReadHeaderTimeout,
		WriteTimeout:      like.WriteTimeout,
		IdleTimeout:       like.IdleTimeout,
		Protocols:         like.Protocols,
		TLSNextProto:      make(map[string]func(*http.Server, *tls.Conn, http.Handler)), // no HTTP/2 to set up
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	h := &Server{
		Endpoint: Endpoint{Registry: registry, Name: "rehearsal", Movable: true},
		HTTP:     server,
		Hook:     r.connState,
		arrived:  NewMovedListener(&net.TCPAddr{}),
		proven:   true,
	}
	server.ConnState = h.ConnState
	server.Handler = h.AnnounceClose(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	r.server = h
	r.conn = &rehearsedConn{Conn: network{r}}
	r.conn.Raw, r.conn.Endpoint, r.conn.server, r.conn.movable = r.conn.Conn, &h.Endpoint, h, true
	registry.Add(&r.conn.conn)
	return r
}

func (r *rehearsal) run(seenAs func(*rehearsedConn) net.Conn) error {
	defer time.AfterFunc(rehearsalLimit, r.giveUp).Stop()
	r.server.arrived.Push(seenAs(r.conn))
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.server.ServeArrived()
	}()
	<-r.over
	r.server.Close()
	<-served
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// connState is told by net/http of each new state.
func (r *rehearsal) connState(_ net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch state {
	case http.StateIdle:
		r.idle++
	case http.StateClosed:
		if !r.passed {
			r.fail("it closed the connection, and does not wait, after %d requests", r.idle)
		}
		r.endLocked()
	}
}

func (r *rehearsal) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail("it does not go on after %d requests", r.idle)
	r.endLocked()
}

func (r *rehearsal) endLocked() {
	if !r.done {
		r.done = true
		close(r.over)
	}
	r.wake.Broadcast()
}

func (r *rehearsal) fail(format string, args ...any) {
	if r.fault == nil {
		r.fault = fmt.Errorf(format, args...)
	}
}

// read is the network's, of which all that the client has sent is in input.
func (r *rehearsal) read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.done || r.fault != nil:
			return 0, io.EOF
		case r.expired:
			return 0, os.ErrDeadlineExceeded
		case len(r.input) > 0:
			n := copy(p, r.input)
			r.input = r.input[n:]
			return n, nil
		case r.leaving:
			r.wake.Wait()
		case r.idle < r.said.requests: // net/http watches the client while a request is served
			if r.conn.idleState.Load() == atRest {
				r.fail("request %d is not answered and seems to be", r.idle+1)
				continue
			}
			r.wake.Wait()
		default:
			r.goOnLocked()
		}
	}
}

// goOnLocked has the client send its next line, if the server is right about
// the one before, and after the last one the drain begin.
func (r *rehearsal) goOnLocked() {
	rests := r.conn.idleState.Load() == atRest
	switch {
	case rests != r.said.rests:
		r.fail("after %q it seems to be waiting for a new request: %v", r.said.send, rests)
	case len(r.lines) > 0:
		r.said, r.lines = r.lines[0], r.lines[1:]
		r.input = []byte(r.said.send)
	default:
		r.leaving, r.output = true, 0
		r.server.SetPhase(Moving)
		r.mu.Unlock() // taking the connection sets a deadline
		r.conn.Release()
		r.mu.Lock()
	}
}

// Serves says that the connection may leave.
func (r *rehearsal) Serves(*Endpoint) bool { return true }

// IsFull says that there is room.
func (r *rehearsal) IsFull() bool { return false }

// Pass is told that the connection has left.
func (r *rehearsal) Pass(Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed = true
	if r.output > 0 {
		r.fail("it writes %d bytes to a connection that it gives up at rest", r.output)
	}
}

// A rehearsedConn is to a rehearsal what a tcpConn is to TCP.
type rehearsedConn struct {
	net.Conn
	conn
}

func (c *rehearsedConn) Read(p []byte) (int, error)        { return c.read(p) }
func (c *rehearsedConn) SetReadDeadline(t time.Time) error { return c.setReadDeadline(t) }
func (c *rehearsedConn) Close() error                      { return c.close() }

// A network is the raw connection of a rehearsal.
type network struct{ *rehearsal }

func (n network) Read(p []byte) (int, error) { return n.read(p) }

func (n network) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.output += len(p)
	return len(p), nil
}

// SetReadDeadline knows only deadlines that are over: the others are too far.
func (n network) SetReadDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expired = !t.IsZero() && t.Before(time.Now())
	n.wake.Broadcast()
	return nil
}

func (n network) Close() error                     { return nil }
func (n network) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (n network) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (n network) SetDeadline(time.Time) error      { return nil }
func (n network) SetWriteDeadline(time.Time) error { return nil }
