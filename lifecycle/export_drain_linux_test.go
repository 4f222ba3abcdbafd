package lifecycle

import (
	"net"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/boundedlog"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/sockets"
	"github.com/heirloom-go/heirloom/internal/successor"
)

// A restingConn is a connection at rest.
type restingConn struct{ conntrack.Info }

func (*restingConn) Release()     {}
func (*restingConn) Restore(bool) {}

// DrainFull drains two listeners to a successor at the other end of conn, which
// serves only the first and has no room for nc, late in the drain or not. It
// returns which of them keep their connections as if nothing had happened.
func DrainFull(conn *handover.Conn, nc net.Conn, late bool) (first, second bool) {
	log := hclog.NewNullLogger()
	s := &Service{conns: conntrack.New(conntrack.Config{}), sockets: new(sockets.Set), log: boundedlog.New(log)}
	for _, name := range []string{"first", "second"} {
		h := newHTTPServer(s, name, conntrack.NewMovedListener(nc.LocalAddr()), nil)
		h.Movable = true
		s.registered.servers = append(s.registered.servers, h)
	}
	var ready handover.Message
	ready.Listeners = []string{"first"}
	h := successor.New(conn, ready, s.conns, log)
	defer h.Quit()
	s.conns.LeaveTo(h.Conns)
	if late {
		s.conns.LateIn(0)
	}
	for s.conns.IsLate() != late {
		time.Sleep(time.Millisecond)
	}
	m := &mainLoop{service: s, conns: s.conns, state: Draining, drain: drain.New(), successor: h}
	m.drain.Enter(drain.Finishing)
	for first := true; first || !h.Conns.IsFull(); first = false { // it is so for a while, longer each time
		h.Conns.Pass(&restingConn{conntrack.Info{Raw: nc, Endpoint: s.registered.servers[0].At()}})
		h.Conns.SendRest()
		h.Conns.Accepted(0, true)
		m.drainToSink()
	}
	serves := func(i int) bool { return s.registered.servers[i].At().Phase() == conntrack.Serving }
	return serves(0), serves(1)
}
