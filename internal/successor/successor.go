package successor

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// past is a deadline that wakes a read or write at once.
var past = time.Unix(1, 0)

// quitPatience is how long a last message may take to leave.
const quitPatience = time.Second

// A Successor is a process that serves. But for Conns, Listen and Outbox it
// belongs to the goroutine that owns the state.
type Successor struct {
	PID        int
	Generation int
	// Lost says that it is gone.
	Lost bool
	// Conns sends it connections, while its Run runs.
	Conns *transfer.Peer

	conn *handover.Conn
	box  *handover.Outbox
}

// New makes one of its socket, which it owns, and what it said of itself: see
// SetTarget.
func New(conn *handover.Conn, ready handover.Message, owner transfer.Owner, log hclog.Logger) *Successor {
	return &Successor{
		PID:        ready.PID,
		Generation: ready.Generation,
		Conns:      transfer.NewPeer(conn, ready, owner, log),
		conn:       conn,
		box:        handover.NewOutbox(conn),
	}
}

// Post sends m, now or later, and does not wait. See handover.Outbox.
func (s *Successor) Post(m handover.Message) error { return s.box.Post(m) }

// Outbox is that of Post. It may give sockets as well.
func (s *Successor) Outbox() *handover.Outbox { return s.box }

// Listen notes which connections the successor has accepted, and delivers every
// other message, and the end as an error, until that or until deliver returns
// false.
func (s *Successor) Listen(deliver func(m handover.Message, err error) bool) {
	for {
		m, fds, err := s.conn.Receive()
		fdutil.CloseAll(fds)
		if err == nil && m.Type == handover.Accepted {
			s.Conns.Accepted(m.Count, m.Reason != "")
			continue
		}
		if !deliver(m, err) || err != nil {
			return
		}
	}
}

// SetTarget notes which process takes connections from now on, by its PID,
// Generation and Moving: the successor may have been replaced by its own.
func (s *Successor) SetTarget(m handover.Message) {
	s.PID, s.Generation = m.PID, m.Generation
	s.Conns.SetTarget(m)
}

// Quit lets the successor go, after a moment in which a last message may still
// leave. It ends Run of Conns, and Listen.
func (s *Successor) Quit() {
	s.Conns.Abandon()
	s.box.Close(quitPatience)
	_ = s.conn.Close()
}

// Dismiss tells a successor to stop that nobody waits for any more, and lets it
// go. It waits for that.
func (s *Successor) Dismiss() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(quitPatience))
	_ = s.conn.Send(handover.Message{Type: handover.Stop})
	_ = s.conn.Close()
}
