package lifecycle

import (
	"net/http"
	"sync"
)

// A registry holds the connections of all servers, from Accept on: between Accept and the first http.ConnState a
// connection is known to nobody else, and a drain that overlooked it would lose it.
type registry struct {
	empty chan struct{} // receives, with room for one, whenever the last connection has gone

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newRegistry() *registry {
	return &registry{empty: make(chan struct{}, 1), conns: make(map[*conn]struct{})}
}

func (r *registry) add(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if len(r.conns) == 0 {
		select {
		case r.empty <- struct{}{}:
		default:
		}
	}
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// all returns the connections of this moment, in no order.
func (r *registry) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	conns := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		conns = append(conns, c)
	}
	return conns
}

// count counts the connections by state, less those of the server except.
func (r *registry) count(except *httpServer) Connections {
	var n Connections
	for _, c := range r.all() {
		if c.server == except {
			continue
		}
		switch http.ConnState(c.state.Load()) {
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
