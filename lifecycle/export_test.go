package lifecycle

import (
	"context"
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
	s := &Service{requests: context.Background(), conns: newRegistry(), returned: make(chan struct{}, 1), options: Options{}.withDefaults()}
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

// Gate makes of a socket what ListenPacket returns, and what opens it to reads and shuts it.
func Gate(conn net.PacketConn) (gated net.PacketConn, open, shut func(), err error) {
	c, err := newPacketSocket(conn, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	return c, c.packetGate().open, c.packetGate().shut, nil
}

// WithDefaults returns what New makes of o.
func (o Options) WithDefaults() Options { return o.withDefaults() }

// ProfilePrefix returns what the paths of profiles begin with.
func ProfilePrefix(o Options) string { return newProfiler(o.withDefaults()).prefix }
