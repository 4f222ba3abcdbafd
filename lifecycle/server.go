package lifecycle

import (
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A server serves the connections accepted at its endpoint, and those that
// moved there.
//
// A new kind of server is another type with these methods, as httpServer and
// streamServer are, a conntrack.Kind, and a method of Service that registers
// one, as ServeStreams does. If its connections are to move as well, the Kind is
// added to supervisor.moving, handover.Moving and handover.Batch, and in
// transfer to Peer.Serves, messageFor and kindOf.
type server interface {
	at() *conntrack.Endpoint
	serve() error // until the listener is closed
	drain()       // starts the end of connections that cannot move and cannot be told by their next response
	serveArrived()
	close() // ends serveArrived
	arrive(a transfer.Arrival)
}
