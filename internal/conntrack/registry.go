package conntrack

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// A Conn is a connection in a Registry, from Accept until it is closed or
// another process has it.
type Conn interface {
	Base() *Info
	Release() // leave the process, if at rest and if it is to: see Phase

	// Restore has it served here again: the Sink would not have it after all, for
	// now if it may move later.
	Restore(movesLater bool)
}

// Info is what a Registry knows of a Conn, which embeds it.
type Info struct {
	Raw       net.Conn // as the listener accepted it
	Endpoint  *Endpoint
	Handshake bool   // its handshake of TLS is under way: it waits for its client
	Left      []byte // for the handler of the next process, or the state of a TLS session, which is secret
	state     atomic.Int32
	cut       atomic.Bool  // closed, for its client kept a drain waiting
	spent     bool         // its session of TLS was exported, and is in Left until that was sent
	mark      *ledger.Mark // by which it may outlive the process; nil if it cannot
}

// Base returns i.
func (i *Info) Base() *Info { return i }

// State returns the state that an http.Server reported last.
func (i *Info) State() http.ConnState { return http.ConnState(i.state.Load()) }

// Close closes a connection for this process and removes it from its Registry.
// Where another process has the descriptor too, the connection lives on there.
func Close(c Conn) error {
	i := c.Base()
	defer i.Endpoint.Registry.Remove(c)
	i.unkeep()
	if t := aroundOf(i.Raw); t != nil && t.IsPassed() {
		i.Endpoint.Registry.config.Close(t)
		return nil
	}
	return i.Raw.Close()
}

// CloseShared is Close for a connection that another process has, or may have. It
// does not wait: that process may have closed the connection already, and then
// the last close(2), which lingers, is here. There it lingers as the program had
// it, so that is left as it is.
func CloseShared(c Conn) {
	i := c.Base()
	if !fdutil.Lingers(i.Raw) { // what can be shared has a descriptor itself
		_ = Close(c)
		return
	}
	i.Endpoint.Registry.Remove(c)
	go func() { _ = Close(c) }()
}

// Spend says that the session of c was exported, with the state that its next
// process needs, of which c takes ownership. Its owner calls it before it passes
// c to a Sink.
func Spend(c Conn, state []byte) {
	i := c.Base()
	i.Left, i.spent = state, true
}

// Forget clears the state that a connection leaves with, if that is secret. It
// is called when the state was sent, whether or not it is known who has it. From
// then on the session cannot be served here: a record number that is used twice
// under one key would give away what was encrypted. The connection leaves, or is
// closed.
func Forget(c Conn) {
	if i := c.Base(); i.spent && i.Left != nil {
		i.Endpoint.Registry.sessions.left.Add(1)
		clear(i.Left)
		i.Left = nil
	}
}

// isSpent reports whether the session was exported and its state sent.
func (i *Info) isSpent() bool { return i.spent && i.Left == nil }

// SetPassed has Close leave it to Config to close the connection, if it is
// not of net's making: who has passed it on must not wait for the program.
func (i *Info) SetPassed(passed bool) {
	if t := aroundOf(i.Raw); t != nil {
		t.SetPassed(passed)
	}
}

// A Config is what connections need of the service that they belong to.
type Config struct {
	// Linger is for how long a connection at rest that cannot move is still
	// served in a drain.
	Linger time.Duration
	// Silence is how long a client, in a drain, may leave a request half
	// sent. Zero means DefaultSilence.
	Silence time.Duration
	// Close closes a connection without waiting for it. It may be of any
	// type.
	Close func(io.Closer)
}

// DefaultSilence is Config.Silence where none is given. A client that is there
// sends the rest of a request line, of a header or of a handshake in one go.
// Five seconds are ample for packets that were lost on the way. One that goes
// on sending, however slowly, is waited for to the deadline.
const DefaultSilence = 5 * time.Second

// A Registry holds the connections of all servers, from Accept on: between
// Accept and the first http.ConnState a connection is known to nobody else, and
// a drain that overlooked it would lose it. Goroutines may share a Registry.
type Registry struct {
	config   Config
	empty    chan struct{}
	again    chan struct{}
	drain    drain
	sessions sessionCounts

	mu      sync.Mutex
	keeper  keeper
	conns   map[Conn]struct{}
	control int // of them, those of a Control endpoint

	watchesSpared atomic.Bool // see Spare
	countsWritten atomic.Bool // see CountWritten
}

// New makes an empty Registry.
func New(config Config) *Registry {
	if config.Silence == 0 {
		config.Silence = DefaultSilence
	}
	r := &Registry{config: config, empty: make(chan struct{}, 1), again: make(chan struct{}, 1), conns: make(map[Conn]struct{})}
	r.drain.init(r)
	return r
}

// Empty receives, with room for one, when a connection has gone and no client
// has one any more. See also NeedsNothing.
func (r *Registry) Empty() <-chan struct{} { return r.empty }

// Again receives, with room for one, after LookAgain, and when an Endpoint has
// stopped moving for a while: the phases are to be set again, by what the Sink
// takes now.
func (r *Registry) Again() <-chan struct{} { return r.again }

// LookAgain says that the Sink may take what it could not take before.
func (r *Registry) LookAgain() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// Add adds a connection that was accepted or has arrived.
func (r *Registry) Add(c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	if c.Base().Endpoint.Control {
		r.control++
	}
	r.keeper.add(c)
}

// Remove forgets a connection. A second call does nothing.
func (r *Registry) Remove(c Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.conns[c]; found && c.Base().Endpoint.Control {
		r.control--
	}
	delete(r.conns, c)
	if len(r.conns) == r.control || r.watchesSpared.Load() && r.needsNothingLocked() {
		r.wake()
	}
}

func (r *Registry) wake() {
	select {
	case r.empty <- struct{}{}:
	default:
	}
}

// Len returns how many connections there are.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// All returns the connections of this moment, in no order.
func (r *Registry) All() []Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Conn, 0, len(r.conns))
	for c := range r.conns {
		all = append(all, c)
	}
	return all
}

// IsQuiet reports whether nobody waits for a response any more: there is no
// connection left but, of Control endpoints, those without a complete request.
func (r *Registry) IsQuiet() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.conns) > r.control {
		return false
	}
	for c := range r.conns {
		if c.Base().State() != http.StateActive {
			continue
		}
		if owed, ok := c.(interface{ isOwedBody() bool }); !ok || !owed.isOwedBody() {
			return false
		}
	}
	return true
}

// Sessions returns what became of connections of TLS until now.
func (r *Registry) Sessions() Sessions { return r.sessions.all() }

// ReleaseAtRest releases every connection that is at rest and is to leave.
// Those that come to rest later see to it themselves.
func (r *Registry) ReleaseAtRest() {
	for _, c := range r.All() {
		c.Release()
	}
}

// Count counts the connections of clients.
func (r *Registry) Count() Counts {
	var n Counts
	for _, c := range r.All() {
		i := c.Base()
		switch {
		case i.Endpoint.Control, i.cut.Load():
		case i.Handshake:
			n.New++
		case i.Endpoint.Kind == Streams, i.Endpoint.Kind == SecureStreams:
			n.Streams++
		case i.Endpoint.Kind == Others:
			n.Others++
		case i.State() == http.StateNew:
			n.New++
		case i.State() == http.StateActive:
			n.Active++
		case i.State() == http.StateIdle:
			n.Idle++
		case i.State() == http.StateHijacked:
			n.Hijacked++
		}
	}
	return n
}

// WatchSpared has Spare do what it says, for the requests that come from now on.
func (r *Registry) WatchSpared() { r.watchesSpared.Store(true) }

// notice wakes who waits for Empty, if all that is left is spared.
func (r *Registry) notice() {
	if r.NeedsNothing() {
		r.wake()
	}
}

// NeedsNothing reports whether each connection that is left has a request that
// was spared, and goes to another process after it: nothing comes on it here any
// more. When that begins to be so Empty receives.
func (r *Registry) NeedsNothing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.needsNothingLocked()
}

func (r *Registry) needsNothingLocked() bool {
	for c := range r.conns {
		if c.Base().Endpoint.Control {
			continue
		}
		if s, ok := c.(interface{ isSpared() bool }); !ok || !s.isSpared() {
			return false
		}
	}
	return true
}
