package transfer

import (
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/ledger"
)

// TakeKept takes over the connections of a process that has died, which were at
// rest. One that nothing serves here any more is closed. Errors are those of
// ledger.Adopt.
func (r *Receiver) TakeKept(l *ledger.Ledger) (ledger.Adopted, error) {
	return l.Adopt(ledger.Taker{
		Take: func(f *ledger.Found) bool {
			server := r.serverOf(f)
			return server != nil && server.ReceiveKept != nil && server.ReceiveKept(f)
		},
		Answer: func(f *ledger.Found) bool {
			server := r.serverOf(f)
			return server != nil && server.AnswerLost != nil && server.AnswerLost(f)
		},
		Cut: func(c ledger.Cut) {
			r.log.Debug("closing a connection whose request died with its process",
				"listener", c.Listener, "remote", c.Remote, "read", c.Read, "answered", c.Answered)
		},
	})
}

// serverOf finds the server for a connection of a process that has died.
func (r *Receiver) serverOf(f *ledger.Found) *Server {
	return r.serverFor(handover.Message{Batch: handover.Batch{Listener: f.Listener, Address: f.Address}})
}
