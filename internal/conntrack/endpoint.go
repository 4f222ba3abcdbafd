package conntrack

import (
	"io"
	"net"
	"sync/atomic"
)

// A Kind says who serves the connections of an Endpoint.
type Kind int

// The kinds of endpoints.
const (
	HTTP          Kind = iota // a Server
	Streams                   // a handler that may hand a connection over with some state
	Others                    // a server of which nothing is known
	HTTPS                     // a Server of TLS whose sessions may move: see Server.Secure
	SecureStreams             // Streams over TLS whose sessions may move
)

// HasSessions reports whether the connections are sessions of TLS that may move.
func (k Kind) HasSessions() bool { return k == HTTPS || k == SecureStreams }

// A Phase is how the connections of an Endpoint take part in a drain.
type Phase int32

// The phases of an Endpoint.
const (
	Serving   Phase = iota
	Moving          // at rest they go to the Sink
	Lingering       // the next response says Connection: close; after Config.Linger those at rest are closed
	Cancelled       // responses that are not complete are aborted
)

// An Endpoint is a listener, and how its connections are treated. The fields
// are set before the first connection is accepted.
type Endpoint struct {
	Registry *Registry
	Listener net.Listener
	Name     string // its connections move to the successor's endpoint of that name and Kind
	Kind     Kind
	Movable  bool // whether they can
	Control  bool // they are not those of clients, but ask how the service is

	// Owner closes the socket that Listener is, or that is under it: there may
	// be more to know about that. It may be nil.
	Owner io.Closer

	phase atomic.Int32
	lasts atomic.Bool
}

// At returns e, for the types that embed it.
func (e *Endpoint) At() *Endpoint { return e }

// Phase returns the phase. Goroutines may share an Endpoint.
func (e *Endpoint) Phase() Phase { return Phase(e.phase.Load()) }

// SetPhase sets the phase. Connections at rest notice at the next
// Registry.ReleaseAtRest, the others when they come to rest.
func (e *Endpoint) SetPhase(p Phase) { e.phase.Store(int32(p)) }

// StopMoving has connections that would move do as in phase p instead. If they
// are served meanwhile, whoever sets the phase hears of it by Registry.Again:
// the lack of room was seen in another goroutine, and may be over.
func (e *Endpoint) StopMoving(p Phase) {
	if e.phase.CompareAndSwap(int32(Moving), int32(p)) && p == Serving {
		e.Registry.LookAgain()
	}
}

// LastToTheEnd says that the listener accepts until the drain is over: a client
// that has just connected is about to send a request, and may.
func (e *Endpoint) LastToTheEnd() { e.lasts.Store(true) }
