package goaway

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// rehearsalLimit bounds a rehearsal in which HTTP/2 waits for what never comes.
// One that goes well takes some 50 microseconds.
const rehearsalLimit = 5 * time.Second

// isKnown reports whether HTTP/2 is one that this package knows. It is tried
// once in a process.
var isKnown = sync.OnceValue(func() bool { return works(newEngine) })

// works reports whether engines do what this package relies on, by having one
// serve a connection in memory: it takes a connection whose preface has been
// read, tells ConnState of it by that very connection, answers a client's GOAWAY
// with its own, and after that a PING.
func works(newEngine func(owner *http.Server) *engine) bool {
	r := &rehearsal{over: make(chan struct{})}
	r.input = append(r.input, frameSettings...)
	r.input = append(r.input, frameLeave...)
	e := newEngine(&http.Server{
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnState: r.connState,
	})
	if e == nil {
		return false
	}
	defer time.AfterFunc(rehearsalLimit, r.end).Stop()
	e.serve(r, http.NotFoundHandler())
	return r.passed()
}

// rehearsal is the connection of a client that leaves as soon as it has come.
type rehearsal struct {
	input []byte

	mu     sync.Mutex
	output []byte
	idle   bool
	over   chan struct{} // closed when there is no more to come
	once   sync.Once
}

func (r *rehearsal) connState(c net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = c == net.Conn(r) && state == http.StateIdle
}

func (r *rehearsal) passed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	goAway := bytes.Index(r.output, frameGoAway)
	return r.idle && goAway > 0 && goAway < bytes.Index(r.output, frameFarewellAck)
}

func (r *rehearsal) end() { r.once.Do(func() { close(r.over) }) }

func (r *rehearsal) Read(p []byte) (int, error) {
	if len(r.input) == 0 {
		<-r.over
		return 0, io.EOF
	}
	n := copy(p, r.input)
	r.input = r.input[n:]
	return n, nil
}

func (r *rehearsal) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.output = append(r.output, p...)
	if bytes.Contains(r.output, frameFarewellAck) {
		r.end()
	}
	return len(p), nil
}

func (r *rehearsal) Close() error {
	r.end()
	return nil
}

func (r *rehearsal) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (r *rehearsal) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (r *rehearsal) SetDeadline(time.Time) error      { return nil }
func (r *rehearsal) SetReadDeadline(time.Time) error  { return nil }
func (r *rehearsal) SetWriteDeadline(time.Time) error { return nil }
