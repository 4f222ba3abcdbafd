package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

// barrierTimeout bounds the wait for the service manager to have read who the main process is.
const barrierTimeout = 2 * time.Second

// onReload begins a reload, joins one, or passes it on, as the state has it.
func (m *machine) onReload(r reloadRequest) {
	switch m.state {
	case Starting, Reloading:
		m.joined = append(m.joined, r)
	case Ready:
		m.joined = append(m.joined, r)
		m.next()
	case LameDuck:
		m.answer([]reloadRequest{r}, handover.Outcome{Reason: ErrStopping.Error()})
	case Draining:
		if m.inPlace != nil { // the new program starts later than it was asked for
			m.answer([]reloadRequest{r}, handover.Outcome{InPlace: true})
			return
		}
		m.forward([]reloadRequest{r})
	}
}

// next begins the reload that those asked for which came too late for the last. An estate is settled first: only the main
// process can remove it from the store.
func (m *machine) next() {
	if m.state == Ready && len(m.joined) > 0 && m.settling == 0 {
		m.waiting, m.joined = m.joined, nil
		m.reload()
	}
}

func (m *machine) reload() {
	m.become(Reloading)
	dryRun, inPlace := areDryRuns(m.waiting), m.replacesInPlace()
	if dryRun {
		m.log.Info("dry run", "program", m.program)
	} else {
		m.log.Info("reloading", "program", m.program)
		m.tell(notify.Reloading(), m.statusLine("reloading"))
	}
	if inPlace && !dryRun && !m.options.DryRun {
		m.beginInPlace()
	} else {
		m.attempt = m.startAttempt(dryRun || inPlace)
	}
}

// attemptResult is a channel that is never ready while there is no attempt.
func (m *machine) attemptResult() <-chan attemptResult {
	if m.attempt == nil {
		return nil
	}
	return m.attempt.result
}

func (m *machine) onResult(r attemptResult) {
	outcome := handover.Outcome{
		At:         m.attempt.started,
		Duration:   time.Since(m.attempt.started),
		Generation: m.generation,
		PID:        os.Getpid(),
	}
	m.attempt = nil
	outcome.DryRun = areDryRuns(m.waiting)
	switch {
	case r.err != nil:
		outcome.Reason = r.err.Error()
		m.reloadFailed(outcome)
		return
	case r.heir == nil && !outcome.DryRun && !m.stopping:
		m.beginInPlace()
		return
	case r.heir == nil:
		m.dryRunDone(outcome)
		return
	}
	outcome.Generation, outcome.PID = r.heir.generation, r.heir.pid
	m.handOver(r.heir, outcome)
	if m.stopping { // it was too late to call the successor off
		_ = r.heir.conn.Send(handover.Message{Type: handover.Stop})
	}
}

// dryRunDone goes on as before: the next process would have been ready.
func (m *machine) dryRunDone(outcome handover.Outcome) {
	m.last = &outcome
	m.become(Ready)
	if m.stopping {
		m.stop()
		return
	}
	m.log.Info("the dry run is done", "took", outcome.Duration)
	m.tell(m.readyLine())
	m.answer(m.waiting, outcome)
	m.waiting = nil
	m.next()
}

// reloadFailed goes on as before. READY=1 ends the RELOADING=1 whatever came of it.
func (m *machine) reloadFailed(outcome handover.Outcome) {
	m.last = &outcome
	m.become(Ready)
	if m.stopping {
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
	m.answer(m.waiting, outcome)
	m.waiting = nil
	m.next()
}

func (m *machine) readyLine() notify.State { return m.statusLine(m.readyText()) }

// readyText is the status of a service that serves, with the reason why the last reload failed if it did.
func (m *machine) readyText() string {
	if m.last != nil && m.last.Reason != "" {
		what := "reload"
		if m.last.DryRun {
			what = "dry run"
		}
		return "ready; the last " + what + " failed: " + m.last.Reason
	}
	return "ready"
}

// handOver makes the successor, which serves already, the main process, and drains.
//
// While the service manager has not read that message this process is the main one to it, and the only one it listens to;
// hence the barrier before anybody is told that the reload is done. To whoever waits for a Type=notify-reload service READY=1
// says so itself: from then on no new connection may find this generation.
func (m *machine) handOver(h *heir, outcome handover.Outcome) {
	m.atStep("hand over")
	m.replaced.Store(true)
	m.closeListeners()
	m.tell(notify.MainPID(h.pid), notify.Ready(), notify.Status(statusText("ready", h.generation)))
	_ = m.awaitManager()
	m.atStep("handed over")
	m.log.Info("handed over", "generation", h.generation, "pid", h.pid, "took", outcome.Duration)
	m.last = &outcome
	m.answer(fromAncestors(&m.waiting), outcome)
	m.giveAncestors(h)
	if err := h.conn.Send(handover.Message{Type: handover.Main, Outcome: &outcome}); err != nil {
		m.log.Debug("the successor is gone already", "pid", h.pid, "error", err)
	}
	m.heir = h
	m.leaveTo(h)
	m.workers.Go(h.run)
	m.workers.Go(func() { m.listenToHeir(h) })
	m.drain()
	m.answer(m.waiting, outcome) // no sooner: a new connection to the control socket is the heir's from now on
	m.waiting = nil
	_ = fromAncestors(&m.joined) // they ask the heir again when it tells them of itself
	m.forward(m.joined)
	m.joined = nil
}

// giveAncestors passes the older generations on to the heir, before it may itself be replaced.
func (m *machine) giveAncestors(h *heir) {
	for _, a := range m.ancestors {
		if err := a.give(h.conn); err != nil {
			m.log.Debug("cannot pass on an older generation", "pid", a.pid, "error", err)
		}
	}
	m.ancestors = nil
}

// fromAncestors takes those requests out of the list that an older generation passed on.
func fromAncestors(list *[]reloadRequest) []reloadRequest {
	var passedOn, own []reloadRequest
	for _, r := range *list {
		if r.from != nil {
			passedOn = append(passedOn, r)
		} else {
			own = append(own, r)
		}
	}
	*list = own
	return passedOn
}

// forward passes reloads on to the heir, which does one for all of them.
func (m *machine) forward(requests []reloadRequest) {
	if len(requests) == 0 {
		return
	}
	if m.heir != nil && m.heir.conn.Send(handover.Message{Type: handover.Reload, DryRun: areDryRuns(requests)}) == nil {
		m.forwarded = append(m.forwarded, requests)
		return
	}
	m.answer(requests, handover.Outcome{Reason: ErrStopping.Error()})
}

// takeForwarded takes all that is still to be answered by the heir.
func (m *machine) takeForwarded() []reloadRequest {
	all := slices.Concat(m.forwarded...)
	m.forwarded = nil
	return all
}

// answer tells each of requests the outcome.
func (m *machine) answer(requests []reloadRequest, outcome handover.Outcome) {
	for _, r := range requests {
		if r.answer != nil {
			r.answer(outcome)
		}
	}
}

// listenToHeir takes note of what the heir has taken, and passes everything else on.
func (m *machine) listenToHeir(h *heir) {
	for {
		msg, fds, err := h.conn.Receive()
		closeDescriptors(fds)
		if err == nil && msg.Type == handover.Taken {
			h.taken(msg.Count)
			continue
		}
		select {
		case m.letters <- letter{message: msg, err: err}:
		case <-m.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

func (m *machine) onHeirLetter(msg handover.Message, err error) {
	switch {
	case err != nil:
		m.heirLost(err)
		return
	case m.heir == nil:
		return
	}
	switch msg.Type {
	case handover.Status:
		report := m.report()
		_ = m.heir.conn.Send(handover.Message{Type: handover.Draining, Report: &report})
	case handover.Heir:
		m.heir.introduce(msg)
		m.forward(m.takeForwarded()) // the heir before has not got to it
		m.drain()
	case handover.Hurry:
		m.finishIn(msg.Left)
	case handover.Stop:
		m.heir.lose()
		m.finishIn(msg.Left)
		m.drain()
	case handover.Reloaded:
		if msg.Outcome != nil && len(m.forwarded) > 0 {
			m.answer(m.forwarded[0], *msg.Outcome)
			m.forwarded = m.forwarded[1:]
		}
	}
}

// heirLost serves what is left here until it can be let go.
func (m *machine) heirLost(err error) {
	m.log.Warn("the successor is gone: finishing without it", "pid", m.heir.pid, "error", err)
	if !m.stopping { // perhaps the service manager has not taken note of the successor, and judges the service by this process
		m.err = errors.Join(m.err, fmt.Errorf("%w: the successor is gone", ErrReload))
	}
	m.leaveToStore()
	m.heir.lose()
	m.answer(m.takeForwarded(), handover.Outcome{Reason: "the successor is gone"})
	m.drain()
}

func (m *machine) statusLine(text string) notify.State {
	return notify.Status(statusText(text, m.generation))
}
