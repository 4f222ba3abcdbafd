package lifecycle

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// A port is a listener, and how the server that accepts from it is to treat its connections.
type port struct {
	service  *Service
	listener net.Listener
	name     string // its connections move to the successor's server of that name and kind
	stream   bool   // the kind: Service.Stream rather than Service.HTTP
	other    bool   // the kind: Service.Serve
	movable  bool   // whether they can
	phase    atomic.Int32
}

// What a server does with the connections it has.
const (
	phaseServing   int32 = iota
	phaseMoving          // at rest they go to the taker
	phaseLingering       // the next answer says Connection: close; after Options.Linger those at rest are closed
	phaseCancelled       // answers that are not done are broken off
)

// A member is a connection of the service, in the registry from Accept until it is closed or another process has it.
type member interface {
	base() *link
	take()     // leave, if at rest and if it is to: see port.phase
	comeBack() // from a taker that would not have it after all
}

// A link is what all members have.
type link struct {
	raw   net.Conn
	port  *port
	state atomic.Int32 // http.ConnState
	left  []byte       // for the handler of a Stream in the next process
}

func (l *link) base() *link { return l }

// end closes a member's connection itself.
func end(m member) error {
	l := m.base()
	defer l.port.service.conns.remove(m)
	return l.raw.Close()
}

// A registry holds the connections of all servers, from Accept on: between Accept and the first http.ConnState a
// connection is known to nobody else, and a drain that overlooked it would lose it.
type registry struct {
	empty chan struct{} // receives, with room for one, whenever a connection has gone and none of clients is left

	mu      sync.Mutex
	members map[member]struct{}
	control int // of them, those of the control socket
}

func newRegistry() *registry {
	return &registry{empty: make(chan struct{}, 1), members: make(map[member]struct{})}
}

func (r *registry) add(m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m] = struct{}{}
	if m.base().port.name == controlName {
		r.control++
	}
}

func (r *registry) remove(m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.members[m]; found && m.base().port.name == controlName {
		r.control--
	}
	delete(r.members, m)
	if len(r.members) == r.control {
		select {
		case r.empty <- struct{}{}:
		default:
		}
	}
}

// isQuiet reports whether nobody waits for an answer any more: there is no connection but, on the control socket, such as have not
// asked anything.
func (r *registry) isQuiet() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.members) > r.control {
		return false
	}
	for m := range r.members {
		if http.ConnState(m.base().state.Load()) == http.StateActive {
			return false
		}
	}
	return true
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// all returns the connections of this moment, in no order.
func (r *registry) all() []member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]member, 0, len(r.members))
	for m := range r.members {
		members = append(members, m)
	}
	return members
}

// count counts the connections by state, less those of the control socket.
func (r *registry) count() Connections {
	var n Connections
	for _, m := range r.all() {
		l := m.base()
		if l.port.name == controlName {
			continue
		}
		if l.port.stream {
			n.Streams++
			continue
		}
		if l.port.other {
			n.Others++
			continue
		}
		switch http.ConnState(l.state.Load()) {
		case http.StateNew:
			n.New++
		case http.StateActive:
			n.Active++
		case http.StateIdle:
			n.Idle++
		case http.StateHijacked:
			n.Hijacked++
		}
	}
	return n
}
