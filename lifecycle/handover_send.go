package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/reloads"
	"github.com/heirloom-go/heirloom/internal/successor"
	"github.com/heirloom-go/heirloom/internal/systemd"
	"github.com/heirloom-go/heirloom/notify"
)

// onReload starts a reload, joins one, or forwards it, depending on the state.
func (m *mainLoop) onReload(r reloads.Request) {
	switch m.state {
	case Starting, Reloading:
		m.reloads.Join(r)
	case Ready:
		m.reloads.Join(r)
		m.next()
	case LameDuck:
		reloads.Requests{r}.Answer(handover.Outcome{Reason: ErrStopping.Error()})
	case Draining:
		if m.inPlace != nil { // the new program starts later than it was asked for
			reloads.Requests{r}.Answer(m.begunInPlace())
			return
		}
		m.forward(reloads.Requests{r})
	}
}

// next starts one reload for all requests that came too late for the last one.
// What the store holds is taken over first: only the main process can remove it
// from there.
func (m *mainLoop) next() {
	if m.state == Ready && m.reloads.AreAsked() && m.stored.adopting == 0 {
		m.reload()
	}
}

func (m *mainLoop) reload() {
	m.become(Reloading)
	dryRun, inPlace := m.reloads.Begin(), m.service.replacesInPlace()
	if dryRun {
		m.log.Info("dry run", "program", m.service.program)
	} else {
		m.log.Info("reloading", "program", m.service.program)
		m.tell(notify.Reloading(), m.statusLine("reloading"))
	}
	if err := m.service.manager.RefuseNewProcess(); err != nil && !dryRun {
		m.refuse(err)
	} else if inPlace && !dryRun && !m.options.DryRun {
		m.beginInPlace()
	} else {
		m.startup = successor.Begin(m.options.ReloadTimeout, func(ctx context.Context) (*successor.Successor, error) {
			return m.service.startSuccessor(ctx, dryRun || inPlace, inPlace && !dryRun)
		})
	}
}

func (m *mainLoop) onResult(r successor.Result) {
	defer m.giveUpAfterStartup()
	outcome := handover.Outcome{
		At:         m.startup.Started,
		Duration:   time.Since(m.startup.Started),
		Generation: m.service.inherited.Generation,
		PID:        os.Getpid(),
	}
	m.startup = nil
	outcome.DryRun = m.reloads.IsDryRun()
	switch {
	case r.Err != nil:
		outcome.Reason = r.Err.Error()
		m.reloadFailed(outcome)
		return
	case r.Successor == nil && !outcome.DryRun && !m.told.toStop:
		m.beginInPlace()
		return
	case r.Successor == nil:
		m.dryRunDone(outcome)
		return
	}
	outcome.Generation, outcome.PID = r.Successor.Generation, r.Successor.PID
	m.handOver(r.Successor, outcome)
}

// dryRunDone goes on as before: the next process would have been ready.
func (m *mainLoop) dryRunDone(outcome handover.Outcome) {
	m.reloads.Last = &outcome
	m.become(Ready)
	if m.told.toStop {
		m.stop()
		return
	}
	m.log.Info("the dry run is done", "took", outcome.Duration)
	m.tell(m.readyLine())
	m.answerWhenRead(outcome)
	m.next()
}

// reloadFailed goes on as before. READY=1 ends the RELOADING=1 whatever came of
// it.
func (m *mainLoop) reloadFailed(outcome handover.Outcome) {
	outcome = reloads.Failed(outcome)
	m.reloads.Last = &outcome
	m.become(Ready)
	if m.told.toStop {
		m.log.Info("the reload was called off", "reason", outcome.Reason)
		m.stop()
		return
	}
	said := "reload failed, this generation goes on serving"
	if outcome.DryRun {
		said = "dry run failed, this generation goes on serving"
	}
	m.log.Error(said, "reason", outcome.Reason)
	m.tell(notify.Ready(), m.readyLine())
	m.answerWhenRead(outcome)
	m.next()
}

// answerWhenRead ends a reload after which this generation goes on. Those who
// wait are answered when the service manager has read of it: who then asks
// systemctl gets the same reason as from the reload command.
func (m *mainLoop) answerWhenRead(outcome handover.Outcome) {
	m.reloads.EndFromPredecessors(outcome)
	waiting := m.reloads.Take()
	if !m.service.manager.Follows() {
		waiting.Answer(outcome)
		return
	}
	read := m.service.manager.Read()
	m.background.Aside(func(alive context.Context) func() {
		select {
		case <-read:
		case <-alive.Done():
		}
		return func() { waiting.Answer(outcome) }
	})
}

func (m *mainLoop) readyLine() notify.State { return m.statusLine(m.reloads.ReadyText()) }

// handOver makes the successor, which serves already, the main process, and
// drains.
//
// Until the service manager has read that message, this process is the main one
// to it, and the only one it listens to. Hence the barrier before any client is
// told that the reload is done. With Type=notify-reload READY=1 itself says so:
// from then on no new connection may reach this generation.
func (m *mainLoop) handOver(s *successor.Successor, outcome handover.Outcome) {
	m.service.atStep("hand over")
	m.service.stage.replaced.Store(true)
	m.closeListeners(false)
	m.stored.kept.End(errLeaving, m.tell) // as long as the service manager listens to this process
	m.tell(notify.MainPID(s.PID), notify.Ready(), notify.Status(statusText("ready", s.Generation)))
	m.awaitRead()
	if sig := m.service.caught.StopSignal(); sig != nil { // it came while this was the main process, perhaps to it alone
		m.log.Info("stopping", "signal", sig)
		m.told.toStop, m.told.bySignal = true, true
	}
	m.service.atStep("handed over")
	m.log.Info("handed over", "generation", s.Generation, "pid", s.PID, "took", outcome.Duration)
	m.reloads.Last = &outcome
	m.reloads.EndFromPredecessors(outcome)
	m.successor = s
	m.predecessors.Give(s.Outbox(), m.log) // before the successor may itself be replaced
	if m.told.toStop {                     // it was too late to call the successor off
		m.lendQueue()
		_ = s.Post(handover.Message{Type: handover.Stop})
	}
	if err := s.Post(handover.Message{Type: handover.Main, Outcome: &outcome}); err != nil {
		m.log.Debug("the successor is gone already", "pid", s.PID, "error", err)
	}
	m.conns.LeaveTo(s.Conns)
	m.background.Go(s.Conns.Run)
	m.background.Go(func() { m.listenToSuccessor(s) })
	m.drainToSink()
	m.reloads.End(outcome) // no sooner: a new connection to the control socket is the successor's from now on
	m.forward(m.reloads.Leave())
}

// lendTimeout bounds the wait for a systemd that does not say which process is
// the main one.
const lendTimeout = 500 * time.Millisecond

// lendQueue gives a successor that is to stop at once the queue that it needs for
// its connections. systemd 252 takes no MAINPID= while it stops the unit
// (service_notify_message in its service.c): this process is the main one to
// the last, and the only one with a right to the store. Newer versions do.
func (m *mainLoop) lendQueue() {
	if !m.service.manager.Exists() {
		return
	}
	ctx, cancel := context.WithTimeout(m.background.Alive, lendTimeout)
	defer cancel()
	main, err := systemd.AskMainProcess(ctx)
	if err != nil {
		m.log.Debug("cannot find out whether systemd follows the successor", "error", err)
	}
	if err != nil || main.PID == os.Getpid() { // what it does not take from this process it refuses
		m.giveQueue()
	}
}

// lendQueueLate is lendQueue for a process that learns of the stop when it has
// handed over.
func (m *mainLoop) lendQueueLate() {
	if !m.told.bySignal && m.service.manager.Exists() {
		m.background.Go(func() { m.ifMain(m.giveQueue) })
	}
	m.told.bySignal = true
}

func (m *mainLoop) giveQueue() {
	if m.successor.Lost || m.stored.Queue() == nil {
		return
	}
	socket, err := m.stored.Lend()
	if err == nil {
		err = m.successor.Outbox().Give(handover.Message{Type: handover.Queue}, socket)
	}
	if err != nil {
		m.log.Debug("no queue for the successor: it stores connections itself, or tells them to close", "error", err)
	}
}

// forward passes reloads on to the successor, which does one for all of them.
func (m *mainLoop) forward(requests reloads.Requests) {
	if len(requests) == 0 {
		return
	}
	if m.successor != nil && m.successor.Post(handover.Message{Type: handover.Reload, DryRun: requests.AreDryRuns()}) == nil {
		m.reloads.Forwarded(requests)
		return
	}
	requests.Answer(handover.Outcome{Reason: ErrStopping.Error()})
}

// listenToSuccessor sends every message to the loop, except acknowledgements of
// connections.
func (m *mainLoop) listenToSuccessor(s *successor.Successor) {
	s.Listen(func(msg handover.Message, err error) bool {
		select {
		case m.messages <- peerMessage{Delivery: predecessor.Delivery{Message: msg, Err: err}}:
			return true
		case <-m.service.stage.gone:
			return false
		}
	})
}

func (m *mainLoop) onSuccessorMessage(msg handover.Message, err error) {
	switch {
	case err != nil:
		m.successorLost(err)
		return
	case m.successor == nil:
		return
	}
	switch msg.Type {
	case handover.Status:
		report := m.ownReport()
		_ = m.successor.Post(handover.Message{Type: handover.Draining, Report: &report})
	case handover.Retarget:
		m.successor.SetTarget(msg)
		m.forward(m.reloads.TakeForwarded()) // the successor before has not got to it
		m.drainToSink()
	case handover.Deadline:
		m.finishIn(msg.Left)
	case handover.Stop:
		m.successor.Conns.Stop() // it acknowledges connections all the same
		m.finishIn(msg.Left)
		m.drainToSink()
	case handover.Reloaded:
		if msg.Outcome != nil {
			m.reloads.Answered(*msg.Outcome)
		}
	}
}

// successorLost goes on without the successor, which is gone: connections stay
// here, or are queued in the store.
func (m *mainLoop) successorLost(err error) {
	m.log.Warn("the successor is gone: finishing without it", "pid", m.successor.PID, "error", err)
	m.successor.Lost = true
	if !m.told.toStop { // perhaps the service manager has not taken note of the successor, and judges the service by this process
		m.err = errors.Join(m.err, fmt.Errorf("%w: the successor is gone", ErrReload))
	}
	m.leaveToStore()
	if errors.Is(err, io.EOF) {
		m.successor.Conns.Lose()
	} else {
		m.successor.Conns.Abandon() // it may live
	}
	m.reloads.TakeForwarded().Answer(handover.Outcome{Reason: "the successor is gone"})
	m.drainToSink()
}

func (m *mainLoop) statusLine(text string) notify.State {
	return notify.Status(statusText(text, m.service.inherited.Generation))
}

// refuse fails a reload that must not begin.
func (m *mainLoop) refuse(err error) {
	m.reloadFailed(handover.Outcome{At: time.Now(), Generation: m.service.inherited.Generation, PID: os.Getpid(), Reason: err.Error()})
}
