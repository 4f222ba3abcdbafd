package lifecycle

import (
	"errors"
	"os"
	"slices"

	"github.com/heirloom-go/heirloom/internal/handover"
)

func (m *machine) onLetter(l letter) {
	switch {
	case l.from == nil:
		m.onHeirLetter(l.message, l.err)
	case errors.Is(l.err, handover.ErrMalformed):
		m.log.Warn("predecessor sent what is no message: letting it go", "pid", l.from.pid, "error", l.err)
		m.bury(l.from)
	case l.err != nil:
		m.bury(l.from)
	default:
		m.onAncestorLetter(l.from, l.message, l.descriptors)
	}
}

func (m *machine) onAncestorLetter(a *ancestor, msg handover.Message, fds []int) {
	switch msg.Type {
	case handover.Go:
		m.takeOver(a)
	case handover.Main:
		m.atStep("main")
		if m.state == Starting {
			m.enthrone(msg.Outcome, true)
		}
	case handover.Adopt:
		m.adopt(msg, fds)
		return
	case handover.Reload:
		m.onReload(reloadRequest{from: a, dryRun: msg.DryRun, answer: func(o handover.Outcome) {
			_ = a.conn.Send(handover.Message{Type: handover.Reloaded, Outcome: &o})
		}})
	case handover.Stop:
		m.hearsay = !m.stopping
		m.askedToStop("reason", "the predecessor was told to while it handed over")
	}
	closeDescriptors(fds)
}

// takeOver accepts connections beside the predecessor, which from now on may stop to.
func (m *machine) takeOver(a *ancestor) {
	if m.state != Starting || m.serving > 0 {
		return
	}
	m.atStep("take over")
	m.serve()
	if err := a.conn.Send(handover.Message{Type: handover.Serving}); err != nil {
		m.log.Warn("cannot tell the predecessor that this process serves", "error", err)
	}
	m.atStep("serving")
}

// adopt takes over an older generation from the predecessor, and tells it who takes its connections now.
func (m *machine) adopt(msg handover.Message, fds []int) {
	if len(fds) != 1 {
		closeDescriptors(fds)
		m.log.Warn("predecessor spoke of an older generation without its socket", "pid", msg.PID)
		return
	}
	conn, err := handover.FromDescriptor(fds[0])
	if err != nil {
		m.log.Warn("cannot adopt an older generation", "pid", msg.PID, "error", err)
		return
	}
	a := newAncestor(conn, msg.PID, msg.Generation)
	err = conn.Send(handover.Message{
		Type:       handover.Heir,
		PID:        os.Getpid(),
		Generation: m.generation,
		Listeners:  m.movable(false),
		Streams:    m.movable(true),
	})
	if err != nil {
		m.log.Debug("an older generation went away while it was adopted", "pid", a.pid, "error", err)
	}
	m.listenToAncestor(a)
	m.reportProgress()
	m.hurryOldest()
}

// bury forgets an older generation that is gone. If it was the predecessor, and died before it made this process the main
// one, there is nobody else to serve.
func (m *machine) bury(a *ancestor) {
	a.release()
	_ = a.conn.Close()
	m.ancestors = slices.DeleteFunc(m.ancestors, func(b *ancestor) bool { return a == b })
	m.log.Debug("an older generation is gone", "generation", a.generation, "pid", a.pid)
	if m.state != Starting || a != m.ancestor {
		return
	}
	m.log.Warn("the predecessor died while it handed over", "pid", a.pid)
	if m.serving == 0 {
		m.serve()
	}
	m.enthrone(nil, false)
}

// hurryOldest keeps the number of draining generations within bounds.
func (m *machine) hurryOldest() {
	if len(m.ancestors) <= m.options.MaxPredecessors {
		return
	}
	oldest := slices.MinFunc(m.ancestors, func(a, b *ancestor) int { return a.generation - b.generation })
	m.log.Warn("too many generations drain: hurrying the oldest", "generation", oldest.generation, "pid", oldest.pid)
	_ = oldest.conn.Send(handover.Message{Type: handover.Hurry, Left: hurryTimeout})
}
