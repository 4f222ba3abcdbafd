package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/notify"
)

// progressInterval is how often the service manager is told how far the drain
// is, and asked for more time.
const progressInterval = time.Second

// extendBy is how much more time is asked for at a time: enough for the next
// time to come, late as it may be.
const extendBy = 3 * progressInterval

// longDrain is how long a stop lasts before the log says what it waits for.
const longDrain = 5 * time.Second

// A progress is the report to the service manager, once a second, of a drain
// here or in an older generation.
type progress struct {
	running bool
	logged  bool // what a long stop waits for
	timer   *time.Timer
}

func newProgress() progress {
	p := progress{timer: time.NewTimer(progressInterval)}
	p.timer.Stop()
	return p
}

// reportProgress starts the report to the service manager, which goes on as
// long as this or an older generation drains.
func (m *mainLoop) reportProgress() {
	if !m.service.manager.Exists() {
		return
	}
	if m.told.toStop {
		m.extend()
	}
	if !m.report.running {
		m.report.running = true
		m.report.timer.Reset(progressInterval)
	}
}

// onProgress asks the older generations, which answer later or not at all.
func (m *mainLoop) onProgress() {
	if m.successor != nil || m.predecessors.Len() == 0 && m.state != Draining && m.state != LameDuck {
		m.report.running = false
		if m.state == Ready {
			m.service.manager.Say(servicemanager.Status, m.readyLine())
		}
		return
	}
	m.report.timer.Reset(progressInterval)
	if m.told.toStop {
		m.extend()
	}
	older := m.predecessors.NewestFirst()
	m.background.Aside(func(alive context.Context) func() {
		predecessors := reports(alive, older)
		return func() { m.onReports(predecessors) }
	})
}

// onReports sends the report to the service manager.
func (m *mainLoop) onReports(predecessors []Predecessor) {
	if m.successor != nil || m.state == Starting {
		return
	}
	line := m.waitLine(predecessors)
	m.service.manager.Say(servicemanager.Status, m.statusLine(line))
	if m.told.toStop && m.state == Draining && !m.report.logged && time.Since(m.drain.Began()) > longDrain {
		m.report.logged = true
		m.log.Info("the stop takes long", "status", line)
	}
}

// waitLine says in one line what this generation and the older ones wait for.
func (m *mainLoop) waitLine(predecessors []Predecessor) string {
	var parts []string
	switch m.state {
	case LameDuck:
		parts = append(parts, "lame duck: still accepting")
	case Draining:
		parts = append(parts, fmt.Sprintf("%s: %s%s", m.drain.Phase(), cmp.Or(m.leftover(), "nothing"), timeLeft(m.drain.Ends())))
	case Ready:
		parts = append(parts, m.reloads.ReadyText())
	default:
		parts = append(parts, string(m.state))
	}
	for _, p := range predecessors {
		parts = append(parts, fmt.Sprintf("generation %d draining: %s", p.Generation, p.waits()))
	}
	return strings.Join(parts, "; ")
}

// leftover says what this generation waits for, "" if for nothing.
func (m *mainLoop) leftover() string {
	return m.conns.Count().Leftover(m.jobNames())
}

// jobNames are the jobs that are waited for, and functions of Release that are
// called before the hooks are: the next process waits for them.
func (m *mainLoop) jobNames() []string {
	names := m.tasks.jobs.Names()
	if m.tasks.releasing > 0 {
		for _, name := range m.service.registered.hooks.EarlyUnderWay() {
			names = append(names, "Release of "+name)
		}
	}
	return names
}

// extend asks the service manager for more time, if Options says so and as long
// as the deadline allows.
func (m *mainLoop) extend() {
	if m.options.StopExtension <= 0 {
		return
	}
	if d := m.drain.Within(extendBy-time.Second) + time.Second; d > 0 {
		m.service.manager.Say(servicemanager.MoreTime, notify.ExtendTimeout(d))
	}
}

// status answers a query. At the very end, when nothing is left but to pass
// state, the process still drains for who asks.
func (m *mainLoop) status() statusAnswer {
	state := m.state
	if state == Gone {
		state = Draining
	}
	answer := statusAnswer{status: m.service.identity(state)}
	answer.status.Since = m.since
	answer.status.Connections = Connections(m.conns.Count())
	answer.status.Requests = answer.status.Connections.Active
	if m.reloads.Last != nil {
		answer.status.LastReload = lastReload(*m.reloads.Last)
	}
	answer.status.Jobs = m.jobNames()
	if m.options.MoveTLS {
		moves := TLSMoves(m.conns.Sessions())
		answer.status.TLS = &moves
	}
	if state == Draining {
		answer.status.Drain = m.drainStatus()
	}
	if state == Starting { // the ledger is the predecessor's, which does not drain yet
		return answer
	}
	if m.service.manager.Exists() {
		answer.status.Ledger = m.ledgerStatus()
	}
	answer.predecessors = m.predecessors.NewestFirst()
	return answer
}

func (m *mainLoop) drainStatus() *Drain {
	source, timeout, limited := m.drain.Timeout()
	status := &Drain{Phase: Phase(m.drain.Phase()), Source: source}
	if limited {
		status.Ends, status.Timeout = m.drain.Ends(), timeout.Seconds()
	}
	return status
}

// ledgerStatus says which connections the ledger keeps.
func (m *mainLoop) ledgerStatus() *Ledger {
	kept := m.stored.kept
	s := &Ledger{Adopted: kept.Adopted.Connections, Cut: kept.Adopted.Cut, Lost: kept.Adopted.Lost, Answered: kept.Adopted.Answered}
	if kept.Off != nil {
		s.Off = kept.Off.Error()
		return s
	}
	stats := kept.Stats()
	s.Kept, s.Refused = stats.Kept, stats.Refused
	if !m.service.registered.mayBeKept() {
		s.Off = errNoHTTP.Error()
	}
	return s
}
