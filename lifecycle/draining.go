package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/profile"
)

// startBudget sets the deadlines of the drain that begins now. The question for
// the unit's takes a millisecond or two, in which nothing waits but hooks: each
// is told how long it has.
func (m *mainLoop) startBudget() {
	if !m.drain.Begin() {
		return
	}
	began := m.drain.Began()
	if d := m.options.DrainTimeout; d > 0 {
		m.setBudget(drainbudget.Own(began, d, "Options.DrainTimeout"))
		return
	}
	m.background.Go(func() {
		b := drain.Find(m.background.Alive, m.log, began, m.options.StopExtension)
		select {
		case m.drain.Found <- b:
		case <-m.service.stage.gone:
		}
	})
}

// onBudget is told what drain.Find has found.
func (m *mainLoop) onBudget(b drainbudget.Budget) {
	if m.drain.IsOf(b) {
		m.setBudget(b)
	}
}

// setBudget sets the deadlines, or brings them closer.
func (m *mainLoop) setBudget(b drainbudget.Budget) {
	if m.service.registered.hooks.Any() {
		b = b.WithHooks()
	}
	if m.drain.Limit(b) {
		m.log.Info("drain deadline", "timeout", drainbudget.Describe(b.Timeout), "from", b.Source,
			"requests", drainbudget.Describe(b.Finish.Sub(b.Began)))
	}
	m.conns.LateIn(time.Until(m.drain.Ends()) / 2)
	m.armDeadline()
	m.tellPredecessors()
}

// armDeadline sets the timer to the end of the present phase: of a startup that
// was called off, of the lame duck, or of the drain.
func (m *mainLoop) armDeadline() {
	switch {
	case m.startup != nil:
		m.armStartup()
	case m.state == LameDuck:
		m.drain.ArmLameDuck(m.since, m.options.LameDuck)
	default:
		m.drain.Arm()
	}
}

// stopServing drains for good: connections wait for the next process in the
// file descriptor store, if there is one.
func (m *mainLoop) stopServing() {
	m.leaveToStore()
	m.tryStoreAgain()
	m.service.sockets.UnlinkOnClose(m.queue() != nil || m.mayStoreYet())
	m.drainToSink()
	m.tellPredecessors()
}

// mayStoreYet reports whether the store may have room for the handover socket
// when the connections are taken over that still take that room: see forget.
func (m *mainLoop) mayStoreYet() bool {
	return m.told.toStop && m.successor == nil && m.queue() == nil && m.stored.adopting > 0 && m.stored.IsExpected()
}

// tryStoreAgain puts the handover socket into the store once more if that had
// no room for it, and may have by now.
func (m *mainLoop) tryStoreAgain() {
	if m.queue() != nil || !m.stored.IsExpected() || m.mayStoreYet() || m.drain.IsOver() {
		return
	}
	m.stored.TryAgain()
	m.leaveToStore()
	if m.queue() == nil {
		m.conns.Linger()
	}
}

// tellPredecessors tells older generations, when the service ends, how long
// they have.
func (m *mainLoop) tellPredecessors() {
	if !m.told.toStop || m.state != Draining {
		return
	}
	goodbye := handover.Message{Type: handover.Stop, Left: m.drain.Left()}
	if m.queue() != nil { // then this process still takes their connections
		goodbye.Type = handover.Deadline
	}
	m.predecessors.Post(goodbye)
}

// drainToSink starts the drain, or goes on with it after the sink of
// connections has changed: where they go, or whether they stay.
func (m *mainLoop) drainToSink() {
	m.stored.kept.End(errLeaving, m.tell)
	sink := m.conns.Sink()
	for _, server := range m.service.registered.servers {
		p := server.At()
		switch {
		case m.drain.IsOver():
		case p.Movable && m.mayStoreYet():
			p.SetPhase(conntrack.Serving)
		case !p.Movable || sink == nil || !sink.Serves(p):
			p.SetPhase(conntrack.Lingering)
		case m.successor != nil && m.successor.Conns.IsFull() && !m.conns.IsLate():
			p.SetPhase(conntrack.Serving)
		default:
			p.SetPhase(conntrack.Moving)
		}
	}
	if m.state != Draining {
		m.become(Draining)
		m.startBudget()
		m.drain.Enter(drain.Finishing)
		m.conns.Linger()
		m.closeListeners(m.told.toStop && m.successor == nil)
		for _, server := range m.service.registered.servers {
			server.Drain()
		}
		m.service.contexts.endWorkers(m.whyEnding())
		m.tasks.jobs.End(m.service.contexts.requests)
		close(m.service.stage.draining)
		if m.successor == nil {
			m.reportProgress()
		}
		m.log.Debug("draining", "connections", m.conns.Len())
	}
	m.conns.ReleaseAtRest()
	m.conns.WatchSilence()
}

// whyEnding is the cause of the end of the workers' context.
func (m *mainLoop) whyEnding() error {
	if m.told.toStop {
		return ErrStopping
	}
	return ErrReplaced
}

// closeListeners ends every Accept, and reads of datagrams. The sockets live on
// in the successor, and in systemd, with the connections in their backlog.
//
// The control socket of a service that ends, the last of its kind, stays open to
// the last: that is when people ask most.
func (m *mainLoop) closeListeners(last bool) {
	for _, server := range m.service.registered.servers {
		if last && server.At().Control {
			m.tasks.answering++
			server.At().LastToTheEnd()
			continue
		}
		m.background.Close(server.At().Listener)
	}
	m.service.sockets.Shut(last) // those that HTTP was not told of
}

// finishIn is told by the successor how long there is left.
func (m *mainLoop) finishIn(left time.Duration) {
	if left < drainbudget.NoLimit {
		m.setBudget(drainbudget.Own(time.Now(), left, "the successor"))
	}
}

// advance goes on with the drain when nothing is left of its phase.
func (m *mainLoop) advance() {
	m.releaseEarly()
	switch {
	case m.state != Draining || !m.isEmpty():
	case m.drain.Phase() != drain.Hooks && m.service.registered.hooks.Any():
		if m.drain.Known() { // or drain.Find has yet to answer, which takes a second at most
			m.drain.Enter(drain.Hooks)
			m.runHooks()
		}
	case m.drain.Phase() != drain.Hooks || m.drain.HooksDone && m.tasks.releasing == 0:
		m.become(Gone)
	}
}

// isEmpty reports whether the drain waits for nothing but hooks.
func (m *mainLoop) isEmpty() bool {
	if m.tasks.serving > m.tasks.answering || m.stored.adopting > 0 || m.startup != nil || m.predecessors.Len() > 0 {
		return false
	}
	if m.drain.Cut {
		return m.tasks.jobs.AreKilled()
	}
	return !m.tasks.jobs.AreWorking() && m.tasks.releasing == 0 && (m.conns.Len() == 0 || m.tasks.answering > 0 && m.conns.IsQuiet())
}

// onDeadline ends the phase whose time is over.
func (m *mainLoop) onDeadline() {
	switch m.drain.Phase() {
	case drain.Finishing:
		m.cancelRest()
	case drain.Cancelling:
		m.closeRest(func() string { return m.remains().work })
	default:
		m.log.Error("drain deadline exceeded, exiting", "phase", m.drain.Phase(), "left", m.leftover(),
			"predecessors", m.predecessors.Len(), "stacks", profile.Stacks())
		m.timedOut()
		m.become(Gone)
	}
}

// cancelRest cancels the requests that still run, and closes the connections
// that wait for their clients. Older generations have the same deadline, and
// report themselves which work they cut.
func (m *mainLoop) cancelRest() {
	m.drain.Enter(drain.Cancelling)
	r := m.remains()
	if r.work != "" {
		m.timedOut()
		m.log.Warn("the time is over: cancelling what is left", "left", r.work, "stacks", profile.Stacks())
	}
	m.cutAnswers()
	m.closeWaiting(r.waiting)
}

// cutAnswers cancels the contexts of requests. A handler that returns because
// its context was cancelled would look as if it had finished, so its connection
// is closed first.
func (m *mainLoop) cutAnswers() {
	for _, server := range m.service.registered.servers {
		if !server.At().Control {
			server.At().SetPhase(conntrack.Cancelled)
		}
	}
	m.service.contexts.cancelRequests(ErrDrainTimeout)
}

// timedOut has Run return that work was cut. An older generation tells its
// successor as well, since nothing watches how it ends itself.
func (m *mainLoop) timedOut() {
	if errors.Is(m.err, ErrDrainTimeout) {
		return
	}
	m.err = errors.Join(m.err, ErrDrainTimeout)
	if m.successor != nil {
		_ = m.successor.Post(handover.Message{Type: handover.Cut})
	}
}

// onCut is told by an older generation that it cut work. That is a failure of
// the service only if it ends.
func (m *mainLoop) onCut(p *predecessor.Predecessor) {
	m.log.Warn("an older generation cut work because its time was over", "generation", p.Generation, "pid", p.PID)
	if m.told.toStop && m.state == Draining {
		m.timedOut()
	}
}

// closeRest closes all connections and kills all jobs, in older generations as
// well. It is a failure if leftover names anything.
func (m *mainLoop) closeRest(leftover func() string) {
	m.drain.Cut = true
	m.drain.Enter(drain.Closing)
	if m.successor != nil {
		m.successor.Conns.SendRest()
		m.successor.Conns.Abandon()
	}
	if q := m.queue(); q != nil {
		q.Flush()
	}
	if left := leftover(); left != "" {
		m.timedOut()
		m.log.Warn("closing what is left", "left", left)
	}
	m.cutAnswers()
	m.predecessors.Post(handover.Message{Type: handover.Stop})
	m.tasks.jobs.Kill()
	for _, c := range m.conns.All() {
		m.background.Close(c.Base().Raw)
	}
}

// ownReport is this generation's account of its drain to the one that serves.
func (m *mainLoop) ownReport() handover.Report {
	n := m.conns.Count()
	return handover.Report{
		Since:       m.since,
		Connections: n.ByName(),
		Requests:    n.Active,
		Jobs:        m.jobNames(),
		Ends:        m.drain.Ends(),
	}
}

// Remains are the requests, connections and jobs that are left at the deadline
// of a drain, told apart by whom they wait for: the program or a client. Work
// that is cut makes a stop fail. A client that kept its connection waiting does
// not, or any client could fail every stop. Functions of Release are no remains:
// they have the time of hooks.
type remains struct {
	work    string // requests whose handlers work, streams, jobs
	waiting conntrack.Waiting
}

// remains returns the remains as of now.
func (m *mainLoop) remains() remains {
	n, waiting := m.conns.Remains()
	var parts []string
	if left := n.Leftover(m.tasks.jobs.Names()); left != "" {
		parts = append(parts, left)
	}
	if others := m.tasks.serving - m.tasks.answering; others > 0 {
		parts = append(parts, fmt.Sprintf("servers that accept: %d", others))
	}
	return remains{strings.Join(parts, ", "), waiting}
}

// closeWaiting closes the connections that wait for their clients. Handlers
// that are owed a body learn it from their Read.
func (m *mainLoop) closeWaiting(w conntrack.Waiting) {
	if w.None() {
		return
	}
	m.log.Warn("the time is over: closing what waits for its client", "requests", w.Requests, "responses", w.Responses, "idle", w.Idle)
	w.Cut(m.background.Close)
}

// onSilent closes the connections whose clients keep the drain waiting.
func (m *mainLoop) onSilent() {
	othersWait := m.successor == nil && m.remains().work == ""
	w := m.conns.Silent(m.since, othersWait)
	if w.None() {
		return
	}
	w.Cut(m.background.Close)
	m.log.Warn("clients kept the drain waiting: closed their connections", "requests", w.Requests, "responses", w.Responses)
}

// releaseEarly calls the functions of Release for a successor, once this process
// no longer needs the resources, although it is not done. It is called before
// each event.
func (m *mainLoop) releaseEarly() {
	if m.state != Draining || m.successor == nil || m.drain.Released || m.drain.Phase() != drain.Finishing || !m.service.registered.hooks.AnyEarly() {
		return
	}
	if !m.drain.Known() || m.tasks.serving > 0 || m.tasks.jobs.AreWorking() || m.stored.adopting > 0 || !m.conns.NeedsNothing() {
		return
	}
	m.drain.Released = true
	m.tasks.releasing++
	end := m.drain.HooksEnd()
	go func() {
		err := m.service.registered.hooks.RunEarly(end, m.log)
		m.background.Post(func() {
			m.tasks.releasing--
			m.noteHooked(err)
		})
	}()
}

// runHooks calls the hooks in another goroutine.
func (m *mainLoop) runHooks() {
	end := m.drain.HooksEnd()
	go func() {
		err := m.service.registered.hooks.Run(end, m.log)
		m.background.Post(func() { m.onHooked(err) })
	}()
}

func (m *mainLoop) onHooked(err error) {
	m.noteHooked(err)
	m.drain.HooksDone = true
}

func (m *mainLoop) noteHooked(err error) {
	m.err = errors.Join(m.err, err)
	if errors.Is(err, callback.ErrLeftBehind) {
		m.timedOut()
	}
}
