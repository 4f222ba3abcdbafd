package transfer

import (
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A grant is for how many sessions of TLS the successor has said to have room.
// One that was sent and found none would be lost. Its Peer guards it. The zero
// value is of a successor that was not asked.
type grant struct {
	count   int
	asked   bool // and no answer has come
	useless bool // the successor does not know the question
}

// isNeeded reports whether sessions wait until the successor has answered.
func (g *grant) isNeeded() bool { return g.count == 0 && !g.useless }

// use takes out of b as many as may be sent. The others are put back.
func (g *grant) use(b batch, queue *waitlist) batch {
	if g.useless {
		return b
	}
	if g.count < len(b) {
		queue.putBack(b[g.count:])
		b = b[:g.count:g.count]
	}
	g.count = 0 // what was left would be of a moment that is over
	return b
}

func (g *grant) answer(count int, noRoom bool) {
	g.asked = false
	g.count = max(count, 0)
	g.useless = count <= 0 && !noRoom
}

// end is called when another process is the successor.
func (g *grant) end() { g.count, g.useless = 0, false }

// ask sends the question, which Accepted gets the answer to. mu is held.
func (p *Peer) ask(e *conntrack.Endpoint) error {
	m := messageFor(e)
	m.Count = min(p.queue.count, p.size.most)
	err := p.send(m)
	if err == nil {
		p.grant.asked = true
		p.unacknowledged = append(p.unacknowledged, nil)
	}
	return err
}

// isQuestion reports whether m asks whether there is room, see Peer.ask.
func isQuestion(m handover.Message, fds []int) bool { return m.TLS && m.Count > 0 && len(fds) == 0 }

// answer says for how many sessions there is room. Where nothing serves them
// there is none: they are better off where they are.
func (r *Receiver) answer(conn *handover.Conn, m handover.Message) handover.Message {
	answer := handover.Message{Type: handover.Accepted}
	if r.serverFor(m) != nil {
		most := min(m.Count, handover.MaxDescriptors) + spareDescriptors
		_ = conn.Control(func(fd int) { answer.Count = max(0, fdutil.Free(fd, most)-spareDescriptors) })
	}
	if answer.Count == 0 {
		answer.Reason = errNoRoom.Error()
	}
	return answer
}
