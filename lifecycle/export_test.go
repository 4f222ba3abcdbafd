package lifecycle

import (
	"net"
	"net/http"
)

// SetTestHook has f called at each step of a handover.
func (s *Service) SetTestHook(f func(step string)) { s.atStep = f }

// A Tracked is an HTTP server whose connections are followed, without a Service that runs.
type Tracked struct {
	server *httpServer
}

// Track prepares server for Serve.
func Track(listener net.Listener, server *http.Server) *Tracked {
	s := &Service{conns: newRegistry(), returned: make(chan struct{}, 1), options: Options{}.withDefaults()}
	return &Tracked{newHTTPServer(s, "test", listener, server)}
}

// Serve serves until the listener is closed.
func (t *Tracked) Serve() error { return t.server.serve() }

// Resting reports how many connections wait for a request of which no byte has come, of how many there are.
func (t *Tracked) Resting() (resting, all int) {
	members := t.server.service.conns.all()
	for _, m := range members {
		if m.(*conn).rest.Load() == atRest {
			resting++
		}
	}
	return resting, len(members)
}

// States returns the http.ConnStates of the connections.
func (t *Tracked) States() []http.ConnState {
	var states []http.ConnState
	for _, c := range t.server.service.conns.all() {
		states = append(states, http.ConnState(c.base().state.Load()))
	}
	return states
}
