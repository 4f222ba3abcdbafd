package lifecycle

import (
	"errors"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

// A Phase is how far a drain is.
type Phase string

// The phases of a drain, in their order.
const (
	Finishing  Phase = "finishing"  // requests, connections and jobs end at their leisure
	Cancelling Phase = "cancelling" // the time is over: contexts are cancelled
	Closing    Phase = "closing"    // what was left is closed
	Hooks      Phase = "hooks"      // everything has ended: what was deferred runs
)

// lastWords is how long older generations may take to end, once they were told to, and hooks beyond their time, where it is
// not the unit's timeout that says so.
const lastWords = 100 * time.Millisecond

// stop ends this process, and with it the service unless the service manager starts another.
func (m *machine) stop() {
	m.atStep("stop")
	m.stopping = true
	m.draining.Store(true)
	m.tell(notify.Stopping(), m.statusLine("stopping"))
	stopped := handover.Outcome{Reason: ErrStopping.Error()}
	m.answer(m.waiting, stopped)
	m.answer(m.joined, stopped)
	m.waiting, m.joined = nil, nil
	if m.inPlace != nil {
		m.abandonInPlace()
	}
	m.startBudget()
	m.reportProgress()
	if d := m.options.LameDuck; d > 0 && m.state != Draining && m.err == nil {
		m.become(LameDuck)
		m.log.Info("lame duck: still accepting", "for", d)
		m.armDeadline()
		return
	}
	m.stopServing()
}

// stopServing drains for good: connections wait for the next process in the file descriptor store, if there is one.
func (m *machine) stopServing() {
	m.leaveToStore()
	if _, has := os.LookupEnv("FDSTORE"); m.queue() == nil && (has || m.stored != nil) {
		m.tryStoreAgain()
	}
	for _, l := range m.listeners {
		setUnlink(l.socket, l.bound != nil && (m.queue() == nil || !l.isStored()))
	}
	m.drain()
	m.tellAncestors()
}

// tellAncestors tells older generations, when the service ends, how long they have.
func (m *machine) tellAncestors() {
	if !m.stopping || m.state != Draining {
		return
	}
	left := endless
	if m.budget.source != "" {
		left = max(time.Until(m.budget.finish), 0)
	}
	goodbye := handover.Message{Type: handover.Stop, Left: left}
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
		switch {
		case m.phase == Cancelling || m.closed:
		case p.movable && taker != nil && taker.serves(p):
			p.phase.Store(phaseMoving)
		default:
			p.phase.Store(phaseLingering)
		}
	}
	if m.state != Draining {
		m.become(Draining)
		m.phase = Finishing
		m.draining.Store(true)
		m.startBudget()
		m.armDeadline()
		m.restartLinger()
		m.closeListeners()
		for _, server := range m.servers {
			server.drain()
		}
		m.endJobs()
		close(m.leaving)
		if m.heir == nil {
			m.reportProgress()
		}
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

// closeListeners ends every Accept, and reads of datagrams. The sockets live on in the heir, and in systemd, with what waits in
// their backlog.
//
// The control socket of a service that ends stays open to the last: that is when people ask most.
func (m *machine) closeListeners() {
	last := m.stopping && m.heir == nil
	for _, server := range m.servers {
		if last && server.at().name == controlName {
			m.answering++
			continue
		}
		_ = server.at().listener.Close()
	}
	for _, l := range m.listeners {
		if !last || l.name != controlName {
			l.shut() // those that HTTP was not told of
		}
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

// finishIn is told by the heir how long there is left.
func (m *machine) finishIn(left time.Duration) {
	if left < endless {
		m.setBudget(ownBudget(time.Now(), left, "the successor"))
	}
}

// advance goes on with the drain when nothing is left of its phase.
func (m *machine) advance() {
	switch {
	case m.state != Draining || !m.isEmpty():
	case m.phase != Hooks && m.hasHooks():
		m.phase = Hooks
		m.armDeadline()
		m.runHooks()
	case m.phase != Hooks || m.hooksDone:
		m.become(Gone)
	}
}

// isEmpty reports whether nothing is left to wait for but hooks.
func (m *machine) isEmpty() bool {
	if m.serving > m.answering || m.settling > 0 || m.attempt != nil || len(m.ancestors) > 0 {
		return false
	}
	if m.closed {
		return m.killing == 0
	}
	return m.working == 0 && (m.conns.len() == 0 || m.answering > 0 && m.conns.isQuiet())
}

// onDeadline ends the phase whose time is over.
func (m *machine) onDeadline() {
	switch {
	case m.state == LameDuck:
		m.stopServing()
	case m.phase == Finishing:
		m.cancelRest()
	case m.phase == Cancelling:
		m.closeRest()
	default:
		m.log.Error("the time is over: ending all the same", "phase", m.phase, "predecessors", len(m.ancestors), "stacks", stacks())
		m.timedOut()
		m.become(Gone)
	}
}

// cancelRest tells what still runs that its time is over.
func (m *machine) cancelRest() {
	m.phase = Cancelling
	m.timedOut()
	m.log.Warn("the time is over: cancelling what is left", "left", m.leftover(), "stacks", stacks())
	m.cutAnswers()
	m.armDeadline()
}

// cutAnswers cancels the contexts of requests. An answer that is not done by now never will be: a handler that returns for want of
// time would seem to have said all there is, so its connection is closed first.
func (m *machine) cutAnswers() {
	for _, server := range m.servers {
		if server.at().name != controlName {
			server.at().phase.Store(phaseCancelled)
		}
	}
	m.cancelRequests(ErrDrainTimeout)
}

func (m *machine) timedOut() {
	if !errors.Is(m.err, ErrDrainTimeout) {
		m.err = errors.Join(m.err, ErrDrainTimeout)
	}
}

// closeRest closes what is left, in older generations too.
func (m *machine) closeRest() {
	m.phase, m.closed = Closing, true
	if m.heir != nil {
		m.heir.lose()
	}
	if q := m.queue(); q != nil {
		q.flush()
	}
	if left := m.leftover(); left != "" {
		m.timedOut()
		m.log.Warn("closing what is left", "left", left)
	}
	m.cutAnswers()
	for _, a := range m.ancestors {
		_ = a.conn.Send(handover.Message{Type: handover.Stop})
	}
	m.killJobs()
	for _, c := range m.conns.all() {
		_ = c.base().raw.Close()
	}
	m.armDeadline()
}

// giveUp ends now. Nothing that still runs is waited for.
func (m *machine) giveUp() {
	if m.attempt != nil {
		m.attempt.cancel()
		m.onResult(<-m.attempt.result)
	}
	if m.state != Draining { // a lame duck
		m.drain()
	}
	m.closeRest()
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
		m.base().port.phase.CompareAndSwap(phaseMoving, phaseLingering)
		m.comeBack()
		s.conns.remove(m)
	}
}

// report is this generation's account of its drain to the one that serves.
func (m *machine) report() handover.Report {
	n := m.conns.count()
	r := handover.Report{
		Since: m.since,
		Connections: map[string]int{"new": n.New, "active": n.Active, "idle": n.Idle, "hijacked": n.Hijacked, "streams": n.Streams,
			"others": n.Others},
		Requests: n.Active,
		Jobs:     m.jobNames(),
	}
	if m.budget.source != "" {
		r.Ends = m.budget.finish
	}
	return r
}
