// Package loadtest puts a server under the load of HTTP/1.1 clients that never
// retry.
//
// A [Run] is a crowd of clients, each of one [Class]: a way of asking that some
// careless handover would break. A client goes round and round: it pauses,
// sends the request or requests of one turn, reads the answers, checks every
// byte of them, and records the result. A request either got the one right
// answer in time or it is broken; there is nothing in between, and nothing is
// forgiven. In particular
//
//   - no client looks whether its connection still lives before it sends, so a
//     connection closed between two requests without "Connection: close" breaks
//     the next request, as it would for a client in the field;
//   - no client asks a second time. After a broken request it closes its
//     connection, and the next turn opens a new one;
//   - an answer that announces "Connection: close" is a right answer. The next
//     turn opens a new connection, which only shows in the count of connections.
//     If it leaves requests unanswered that were already sent, those are broken.
//
// Requests are written by hand to the bare connection, one Write for each
// segment meant to be on the wire.
//
// The server answers GET / with
//
//	hello from generation N (pid P, version V)
//
// and a newline, GET /sleep?d=500ms with the same after that time, and any
// other method, having read the whole body, with the same line followed by "
// read B bytes" before the newline.
//
// A test has three steps:
//
//	run := loadtest.Start(loadtest.Target{Address: "127.0.0.1:8080"}, loadtest.OfEach(4))
//	// Reload the server here.
//	err := run.WaitGeneration(ctx, 2)
//	loadtest.Verify(t, run.Stop())
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// A Class is a way of asking. Its text is the name shown in reports and sent in
// the User-Agent header.
type Class string

const (
	// KeepAlive sends one request after the other over one connection.
	KeepAlive Class = "keep-alive"
	// PerRequest opens a connection for each request and asks for its close.
	PerRequest Class = "per-request"
	// Slow asks for /sleep, and takes an answer that comes too early for a
	// broken one.
	Slow Class = "slow"
	// Idle keeps its connection and is silent for a while between requests.
	Idle Class = "idle"
	// ConnectThenWait opens a connection for each request and is silent for a
	// while before it sends the first byte.
	ConnectThenWait Class = "connect-then-wait"
	// ByteByByte writes the header of its request one byte at a time.
	ByteByByte Class = "byte-by-byte"
	// HalfHeaderThenPause writes a part of a header, is silent for a while, and
	// writes the rest, in turn on a new connection and on one that has served a
	// request.
	HalfHeaderThenPause Class = "half-header"
	// Pipelined writes several requests at once, GET and POST mixed, and reads
	// the answers in order.
	Pipelined Class = "pipelined"
	// OneAndAHalf writes a request and a part of the next in one segment, and
	// the rest once the first is answered. The cut is in turn at the next line
	// boundary (also between CR and LF) and at a random place.
	OneAndAHalf Class = "one-and-a-half"
	// Upload posts a body of known length in pieces, with pauses between them.
	Upload Class = "upload"
	// ChunkedUpload posts a chunked body in pieces cut without regard for the
	// chunks, with pauses between them.
	ChunkedUpload Class = "upload-chunked"
	// UploadExpect posts a body only once the server has answered "100
	// Continue".
	UploadExpect Class = "upload-expect"
	// UploadThenGet posts a body whose last piece shares a segment with the
	// beginning of the next request.
	UploadThenGet Class = "upload-then-get"
)

// Classes lists every class, in the order of a report.
func Classes() []Class {
	var all []Class
	for _, b := range behaviours() {
		all = append(all, b.class)
	}
	return all
}

// OfEach is a crowd of n clients of every class, for [Start].
func OfEach(n int) map[Class]int {
	crowd := make(map[Class]int)
	for _, class := range Classes() {
		crowd[class] = n
	}
	return crowd
}

// Target is the server to ask and the pace of asking. Only Address is required;
// a zero (or negative) field means its default.
type Target struct {
	// Network and Address are where the server listens, as for net.Dial. The
	// default network is "tcp".
	Network, Address string

	// Dial opens a connection; the default is a net.Dialer. It must return when
	// its context ends, which is Limit after the call. The client owns the
	// connection from then on. Several clients call Dial at once.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// ThinkTime is the middle of a client's pause between requests, which
	// varies from a third of it to five thirds. PerRequest pauses four times as
	// long: each of its connections holds a port in TIME_WAIT for a minute.
	// Default 30 ms, and more where package patience finds the machine slow: a
	// crowd leaves the server, and the one to come, most of the processor, and
	// some of its connections at rest.
	ThinkTime time.Duration

	// SlowFor is how long Slow asks the server to sleep. Default 500 ms.
	SlowFor time.Duration

	// IdleFor is the longest silence of Idle and ConnectThenWait, which varies
	// from half of it to all of it. Default 2 s.
	IdleFor time.Duration

	// PauseFor is the longest pause between two pieces of one request, which
	// varies from half of it to all of it. HalfHeaderThenPause pauses ten times
	// as long, ByteByByte a twentieth of it. Default 20 ms.
	PauseFor time.Duration

	// UploadSize is the longest body of an upload in bytes, which varies from
	// half of it to all of it. Default 65536.
	UploadSize int

	// Limit is how long a dial, a write, or an answer may take, beyond the time
	// the request asked the server to sleep. Default 30 s, and more where
	// package patience finds the machine slow.
	Limit time.Duration

	// Observe, unless it is nil, is told of every request as it ends, by the
	// goroutine of its client, which asks its next only when Observe has
	// returned. Several clients call it at once, the last before Stop returns.
	Observe func(Observation)

	// Seed makes the sizes, cuts and pauses of a run different from those of
	// another. The same seed gives each client the same ones again.
	Seed uint64
}

// An Observation tells of one request that was answered rightly, or of those of
// a turn that are broken.
type Observation struct {
	Class Class
	// At is when the answer was read, or the requests broke.
	At time.Time
	// Took is the time that [Latency] speaks of; zero if broken.
	Took time.Duration
	// Generation gave the answer; zero if broken.
	Generation int
	// Broken is how many requests are broken; zero for a right answer.
	Broken int
	// Err says why they are; nil for a right answer.
	Err *BrokenError
}

// ErrUnknownClass is what the report holds for a class that Start was given and
// that [Classes] does not list.
var ErrUnknownClass = errors.New("unknown class of clients")

// ErrStopped is what WaitGeneration returns when the run was stopped before the
// generation was seen.
var ErrStopped = errors.New("run was stopped")

// Run is a crowd of clients at work. Its methods may be called from any
// goroutine.
type Run struct {
	target   Target
	tally    *tally
	clients  sync.WaitGroup
	stop     sync.Once
	stopping chan struct{} // closed when each client is to take its last turn
	stopped  chan struct{} // closed when the last client has returned
}

// Start lets as many clients of each class loose on the target as the map says
// (below one: none), and returns at once. The caller must call Stop, or
// goroutines and connections are left behind.
//
// A class that does not exist is no reason to prove less than was asked: it
// shows in the report as one broken request with ErrUnknownClass.
func Start(target Target, clients map[Class]int) *Run {
	r := &Run{
		target:   target.withDefaults(),
		tally:    newTally(),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	known := behaviours()
	for position, b := range known {
		if n := clients[b.class]; n > 0 {
			r.startClass(position, b, n)
		}
	}
	r.tally.refuse(unknownClasses(clients, known))
	return r
}

// Stop ends the run and returns its report, which is final. It waits for every
// goroutine and leaves no connection open.
//
// A client in the middle of a turn finishes it. Then every client asks one last
// time, without a pause before, and closes its connection: one that was lost
// since its last request would otherwise go unnoticed. So Stop takes as long as
// two turns, each of which takes at the worst the pauses within it, SlowFor,
// and Limit for every write and answer; and the server has to be up until Stop
// returns.
//
// A second call waits for the first and returns the same report.
func (r *Run) Stop() Report {
	r.stop.Do(func() {
		close(r.stopping)
		r.clients.Wait()
		r.tally.end()
		close(r.stopped)
	})
	return r.tally.report()
}

// Snapshot reports what has happened so far. Requests under way are not in it.
func (r *Run) Snapshot() Report { return r.tally.report() }

// WaitGeneration waits until a right answer from generation n, or from a later
// one, was seen at any time since Start. Generations count from 1; a smaller n
// means 1. It returns an error that wraps ctx.Err() when ctx ends first, and
// one that wraps ErrStopped when the run ends first.
func (r *Run) WaitGeneration(ctx context.Context, n int) error {
	for {
		highest, risen := r.tally.highestGeneration()
		if highest >= max(n, 1) {
			return nil
		}
		select {
		case <-risen:
		case <-ctx.Done():
			return fmt.Errorf("wait for generation %d (highest seen: %d): %w", n, highest, ctx.Err())
		case <-r.stopped:
			if highest, _ := r.tally.highestGeneration(); highest >= max(n, 1) {
				return nil
			}
			return fmt.Errorf("wait for generation %d (highest seen: %d): %w", n, highest, ErrStopped)
		}
	}
}

func (t Target) withDefaults() Target {
	if t.Network == "" {
		t.Network = "tcp"
	}
	if t.Dial == nil {
		t.Dial = new(net.Dialer).DialContext
	}
	t.ThinkTime = positiveOr(t.ThinkTime, patience.Of(30*time.Millisecond))
	t.SlowFor = positiveOr(t.SlowFor, 500*time.Millisecond)
	t.IdleFor = positiveOr(t.IdleFor, 2*time.Second)
	t.PauseFor = positiveOr(t.PauseFor, 20*time.Millisecond)
	t.UploadSize = positiveOr(t.UploadSize, 64<<10)
	if t.Observe == nil {
		t.Observe = func(Observation) {}
	}
	t.Limit = positiveOr(t.Limit, patience.Of(30*time.Second))
	return t
}

func positiveOr[T int | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// host is the Host header. The address of a Unix socket is a path, which
// servers refuse there.
func (t Target) host() string {
	if strings.HasPrefix(t.Network, "tcp") {
		return t.Address
	}
	return "localhost"
}

func (r *Run) startClass(position int, b behaviour, n int) {
	results := r.tally.addClass(b.class, n)
	for i := range n {
		c := newClient(r, results, b, uint64(position), i)
		r.clients.Go(c.loop)
	}
}

// pause waits for d and reports true, or reports false as soon as the run is
// being stopped.
func (r *Run) pause(d time.Duration) bool {
	select {
	case <-r.stopping:
		return false
	case <-time.After(d):
	}
	select { // both may have been ready, and the first select takes either
	case <-r.stopping:
		return false
	default:
		return true
	}
}

// unknownClasses lists, sorted, the classes asked for that do not exist.
func unknownClasses(clients map[Class]int, known []behaviour) []Class {
	var unknown []Class
	for class := range clients {
		if !slices.ContainsFunc(known, func(b behaviour) bool { return b.class == class }) {
			unknown = append(unknown, class)
		}
	}
	slices.Sort(unknown)
	return unknown
}
