package lifecycle

import (
	"iter"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/httpserver"
	"github.com/heirloom-go/heirloom/internal/streams"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// A server serves the connections accepted at its endpoint, and those that
// moved there.
//
// A new kind of server is another type with these methods, as in packages
// httpserver and streams, a conntrack.Kind, and a method of Service that
// registers one, as ServeStreams does. If its connections are to move as well,
// the Kind is added to handover.Moving and handover.Batch, and in transfer to
// Receiver.Moving, Peer.Serves, messageFor and kindOf.
type server interface {
	At() *conntrack.Endpoint
	Prepare() error // when all that it needs to know is registered
	Serve() error   // until the listener is closed
	Drain()         // ends connections that cannot move and whose next response cannot say that it is the last
	ServeArrived()
	Close() // ends ServeArrived
	Arrive(a transfer.Arrival)
}

var (
	_ server = (*httpserver.Server)(nil)
	_ server = (*streams.Server)(nil)
)

// httpServers returns the servers of HTTP and HTTPBy, and of the control socket.
// r.mu is held, or Run was called.
func (r *registered) httpServers() iter.Seq[*httpserver.Server] {
	return func(yield func(*httpserver.Server) bool) {
		for _, server := range r.servers {
			if h, ok := server.(*httpserver.Server); ok && !yield(h) {
				return
			}
		}
	}
}

// mayBeKept reports whether any connection may be kept in a ledger.
func (r *registered) mayBeKept() bool {
	for h := range r.httpServers() {
		if h.MayBeKept() {
			return true
		}
	}
	return false
}

// prepare readies all servers to serve. r.mu is held.
func (r *registered) prepare() error {
	if r.http != nil {
		r.http.Spares = r.hooks.AnyEarly()
	}
	for _, server := range r.servers {
		if err := server.Prepare(); err != nil {
			return err
		}
	}
	return nil
}

// newReceiver makes the receiver of connections that move here. The servers are
// prepared.
func (r *registered) newReceiver(log hclog.Logger) *transfer.Receiver {
	servers := make([]transfer.Server, len(r.servers))
	for i, server := range r.servers {
		servers[i] = transfer.Server{Endpoint: server.At(), Receive: server.Arrive}
		if h, ok := server.(*httpserver.Server); ok {
			servers[i].ReceiveKept = h.ReceiveKept
			if r.answersLost {
				servers[i].AnswerLost = h.AnswerLost
			}
		}
	}
	return transfer.NewReceiver(servers, log)
}
