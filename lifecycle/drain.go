package lifecycle

import (
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

// stop ends this process, and with it the service unless the service manager starts another: connections wait for that one
// in the file descriptor store, if there is one.
func (m *machine) stop() {
	m.atStep("stop")
	m.stopping = true
	m.tell(notify.Stopping(), m.statusLine("stopping"))
	stopped := handover.Outcome{Reason: ErrStopping.Error()}
	m.answer(m.waiting, stopped)
	m.answer(m.joined, stopped)
	m.waiting, m.joined = nil, nil
	if m.inPlace != nil {
		m.abandonInPlace()
	}
	m.leaveToStore()
	if _, has := os.LookupEnv("FDSTORE"); m.queue() == nil && (has || m.stored != nil) {
		m.tryStoreAgain()
	}
	for _, l := range m.listeners {
		setUnlink(l.Listener, l.bound != nil && (m.queue() == nil || !l.isStored()))
	}
	m.drain()
	goodbye := handover.Message{Type: handover.Stop, Left: time.Until(m.ends)}
	if m.queue() != nil { // then there is still somebody to take their connections: this process
		goodbye.Type = handover.Hurry
	}
	for _, a := range m.ancestors {
		_ = a.conn.Send(goodbye)
	}
}

// drain begins to finish what was begun, or goes on with it after the taker changed.
func (m *machine) drain() {
	taker := m.currentTaker()
	for _, server := range m.servers {
		p := server.at()
		phase := phaseLingering
		if p.movable && taker != nil && taker.serves(p) {
			phase = phaseMoving
		}
		p.phase.Store(phase)
	}
	if m.state != Draining {
		m.become(Draining)
		m.finishIn(m.options.DrainTimeout)
		m.halfway.Reset(m.options.DrainTimeout / 2)
		m.restartLinger()
		m.closeListeners()
		m.log.Debug("draining", "connections", m.conns.len())
	}
	m.takeAtRest()
}

// leaveTo makes t the one that takes connections at rest.
func (s *Service) leaveTo(t taker) { s.taker.Store(&t) }

// currentTaker returns nil if there is none.
func (s *Service) currentTaker() taker {
	if t := s.taker.Load(); t != nil {
		return *t
	}
	return nil
}

// closeListeners ends every Accept. The sockets live on in the heir, and in systemd, with what waits in their backlog.
func (m *machine) closeListeners() {
	for _, server := range m.servers {
		_ = server.at().listener.Close()
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
	if q := m.queue(); q != nil {
		q.flush()
	}
	for _, a := range m.ancestors {
		_ = a.conn.Send(handover.Message{Type: handover.Stop})
	}
	if left := m.conns.count(); left != (Connections{}) {
		m.err = ErrDrainTimeout
		m.log.Warn("closing what is left", "active", left.Active, "idle", left.Idle, "new", left.New, "hijacked", left.Hijacked,
			"streams", left.Streams)
	}
	for _, c := range m.conns.all() {
		_ = c.base().raw.Close()
	}
	m.become(Gone)
}

// pass gives a connection that left its server to the taker.
func (s *Service) pass(m member) {
	if t := s.currentTaker(); t != nil {
		t.pass(m)
		return
	}
	s.takeBack([]member{m})
}

// takeBack serves connections here that were not taken: their next answer is their last here.
func (s *Service) takeBack(members []member) {
	if len(members) == 0 {
		return
	}
	s.lingered.Store(false)
	select {
	case s.returned <- struct{}{}:
	default:
	}
	for _, m := range members {
		m.base().port.phase.Store(phaseLingering)
		m.comeBack()
		s.conns.remove(m)
	}
}

// report is this generation's account of its drain to the one that serves.
func (m *machine) report() handover.Report {
	n := m.conns.count()
	return handover.Report{
		Since:       m.since,
		Connections: map[string]int{"new": n.New, "active": n.Active, "idle": n.Idle, "hijacked": n.Hijacked, "streams": n.Streams},
		Requests:    n.Active,
	}
}
