package lifecycle

import (
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

// stop ends the service: there is no successor to take anything.
func (m *machine) stop() {
	if m.state == Draining {
		return
	}
	if m.state != Starting { // else this process is not the main one, and not to say so
		m.tell(notify.Stopping(), m.statusLine("stopping"))
	}
	if m.attempt != nil {
		m.attempt.cancel()
	}
	m.answer(m.waiting, handover.Outcome{Reason: ErrStopping.Error()})
	m.answer(m.joined, handover.Outcome{Reason: ErrStopping.Error()})
	m.waiting, m.joined = nil, nil
	for _, l := range m.listeners {
		setUnlink(l.Listener, l.bound != nil)
	}
	m.drain()
	for _, a := range m.ancestors {
		_ = a.conn.Send(handover.Message{Type: handover.Stop, Left: time.Until(m.ends)})
	}
}

// drain begins to finish what was begun, or goes on with it after the heir changed.
func (m *machine) drain() {
	for _, h := range m.servers {
		phase := phaseLingering
		if m.heir != nil && h.movable && m.heir.serves(h.name) {
			phase = phaseMoving
		}
		h.phase.Store(phase)
	}
	if m.state != Draining {
		m.become(Draining)
		m.finishIn(m.options.DrainTimeout)
		m.halfway.Reset(m.options.DrainTimeout / 2)
		m.restartLinger()
		m.closeListeners()
	}
	m.takeAtRest()
}

// closeListeners ends every Accept. The sockets live on in the heir, and in systemd, with what waits in their backlog.
func (m *machine) closeListeners() {
	for _, h := range m.servers {
		_ = h.listener.Close()
	}
	for _, l := range m.listeners {
		_ = l.Close() // those that HTTP was not told of
	}
}

func (m *machine) restartLinger() {
	m.lingered.Store(false)
	m.lingering.Reset(m.options.Linger)
}

// takeAtRest takes every connection that rests and is to leave. Those that come to rest later see to it themselves.
func (m *machine) takeAtRest() {
	for _, c := range m.conns.all() {
		c.take()
	}
}

// finishIn sets the deadline, which may come closer but not move away.
func (m *machine) finishIn(left time.Duration) {
	ends := time.Now().Add(left)
	if m.ends.IsZero() || ends.Before(m.ends) {
		m.ends = ends
		m.deadline.Reset(left)
	}
}

// giveUp closes what is left, in older generations too. Nothing that still runs is waited for.
func (m *machine) giveUp() {
	if m.attempt != nil {
		m.attempt.cancel()
		m.onResult(<-m.attempt.result)
	}
	if m.heir != nil {
		m.heir.lose()
	}
	for _, a := range m.ancestors {
		_ = a.conn.Send(handover.Message{Type: handover.Stop})
	}
	if left := m.conns.count(m.control); left != (Connections{}) {
		m.err = ErrDrainTimeout
		m.log.Warn("closing what is left", "active", left.Active, "idle", left.Idle, "new", left.New, "hijacked", left.Hijacked)
	}
	for _, c := range m.conns.all() {
		_ = c.raw.Close()
	}
	m.become(Gone)
}

// pass gives a connection that left its server to the heir.
func (s *Service) pass(c *conn) {
	if h := s.taker.Load(); h != nil {
		h.pass(c)
		return
	}
	s.takeBack([]*conn{c})
}

// takeBack serves connections here that the heir did not take: their next answer is their last here.
func (s *Service) takeBack(conns []*conn) {
	if len(conns) == 0 {
		return
	}
	s.lingered.Store(false)
	select {
	case s.returned <- struct{}{}:
	default:
	}
	for _, c := range conns {
		c.server.phase.Store(phaseLingering)
		_ = c.raw.SetReadDeadline(time.Time{})
		c.server.receive(c.raw, false)
		s.conns.remove(c)
	}
}

// report is this generation's account of its drain to the one that serves.
func (m *machine) report() handover.Report {
	n := m.conns.count(m.control)
	return handover.Report{
		Since:       m.since,
		Connections: map[string]int{"new": n.New, "active": n.Active, "idle": n.Idle, "hijacked": n.Hijacked},
		Requests:    n.Active,
	}
}
