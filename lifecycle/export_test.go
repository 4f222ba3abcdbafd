package lifecycle

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/gate"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// SetTestHook has f called at each step of a handover.
func (s *Service) SetTestHook(f func(step string)) { s.atStep = f }

// SetSilence says how long a client may pause in a request while s drains.
// It comes before Listen.
func (s *Service) SetSilence(d time.Duration) { s.conns = conntrack.New(s.connConfig(d)) }

// Track prepares server, of a Service that does not run, and returns what
// serves listener until that is closed.
func Track(listener net.Listener, server *http.Server) (serve func() error) {
	s := &Service{contexts: contexts{requests: context.Background()}, conns: conntrack.New(conntrack.Config{}), sockets: new(sockets.Set)}
	h := newHTTPServer(s, "test", listener, server)
	if err := h.Prepare(); err != nil {
		panic(err)
	}
	return h.Serve
}

// Gate makes of a socket what ListenPacket returns, and what opens it to reads
// and shuts it.
func Gate(conn net.PacketConn) (gated net.PacketConn, open, shut func(), err error) {
	c, err := newPacketSocket(conn, func() {})
	if err != nil {
		return nil, nil, nil, err
	}
	return c, gate.Of(c).Open, gate.Of(c).Shut, nil
}

// WithDefaults returns what New makes of o.
func (o Options) WithDefaults() Options { return o.withDefaults() }
