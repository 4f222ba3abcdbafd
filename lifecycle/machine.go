package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/notify"
)

// A State is where a Service stands.
type State string

// The states of a Service, in the order in which it may come to them; Reloading goes back to Ready when it fails.
const (
	Starting  State = "starting"  // not serving yet, or serving but not yet the main process
	Ready     State = "ready"     // serving
	Reloading State = "reloading" // serving, while a successor starts
	Draining  State = "draining"  // finishing what was begun
	Gone      State = "gone"      // Run has returned
)

// hurryTimeout is what the oldest predecessor is left with when too many drain.
const hurryTimeout = 5 * time.Second

// A machine is the state of a Service that runs. It belongs to the goroutine of Run: everything that changes the state is
// an event in its select.
type machine struct {
	*Service
	state State
	since time.Time

	attempt *attempt
	waiting []reloadRequest // for the attempt
	joined  []reloadRequest // for one after it

	heir      *heir             // this generation has handed over
	orphan    *heir             // a successor that came up while this generation was told to stop
	forwarded [][]reloadRequest // to the heir, by message
	ancestors []*ancestor
	last      *handover.Outcome

	serving   int // servers whose Accept goes on
	served    chan error
	letters   chan letter
	workers   sync.WaitGroup
	deadline  *time.Timer
	lingering *time.Timer
	halfway   *time.Timer
	ends      time.Time // the deadline, zero when there is none
	err       error
}

// Run serves until the service is replaced, or is told to stop by a signal or the end of ctx, and what it had begun is
// finished. It returns nil then. It returns early, having drained the rest, with the error of a server that could not go on,
// and an error that matches ErrDrainTimeout if connections had to be closed. The process should end when Run returns; the
// signals of Options do nothing from then on.
//
// Run says that the service is ready: to the service manager, or to the predecessor, which then hands over. So it comes
// last in main. What was handed over and nobody has asked for is closed then.
func (s *Service) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	m := &machine{
		Service:   s,
		state:     Starting,
		since:     time.Now(),
		served:    make(chan error, len(s.servers)),
		letters:   make(chan letter),
		deadline:  stoppedTimer(),
		lingering: stoppedTimer(),
		halfway:   stoppedTimer(),
	}
	m.start()
	m.loop(ctx)
	m.end()
	return m.err
}

func (s *Service) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return ErrRunning
	}
	if err := s.openControl(); err != nil {
		return s.Fail(err)
	}
	s.running = true
	return nil
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(0)
	if !t.Stop() {
		<-t.C
	}
	return t
}

func (m *machine) loop(ctx context.Context) {
	done := ctx.Done()
	for !m.finished() {
		select {
		case sig := <-m.signals:
			m.onSignal(sig)
		case <-done:
			done = nil
			m.log.Info("stopping", "reason", context.Cause(ctx))
			m.stop()
		case r := <-m.reloads:
			m.onReload(r)
		case r := <-m.attemptResult():
			m.onResult(r)
		case l := <-m.letters:
			m.onLetter(l)
		case err := <-m.served:
			m.onServed(err)
		case q := <-m.statusQueries():
			q <- m.status()
		case <-m.conns.empty:
		case <-m.returned:
			m.restartLinger()
		case <-m.lingering.C:
			m.lingered.Store(true)
			m.takeAtRest()
		case <-m.halfway.C:
			m.late.Store(true)
		case <-m.deadline.C:
			m.giveUp()
		}
	}
}

// finished reports whether nothing is left to wait for.
func (m *machine) finished() bool {
	return m.state == Gone ||
		m.state == Draining && m.serving == 0 && m.conns.len() == 0 && m.attempt == nil && m.orphan == nil && len(m.ancestors) == 0
}

func (m *machine) become(state State) {
	m.state, m.since = state, time.Now()
}

// start serves, or offers the predecessor to.
func (m *machine) start() {
	if err := m.table.Close(); err != nil {
		m.log.Warn("cannot close what nobody asked for", "error", err)
	}
	if m.ancestor == nil {
		m.serve()
		m.enthrone(nil)
		return
	}
	m.listenToAncestor(m.ancestor)
	err := m.ancestor.conn.Send(handover.Message{
		Type:      handover.Ready,
		Protocol:  handover.Protocol,
		PID:       os.Getpid(),
		Listeners: m.movableNames(),
	})
	if err != nil { // it died: its end-of-file is on its way
		m.log.Warn("cannot tell the predecessor that this process is ready", "error", err)
	}
}

func (m *machine) listenToAncestor(a *ancestor) {
	m.ancestors = append(m.ancestors, a)
	m.workers.Go(func() { m.listenTo(a, m.letters) })
}

func (m *machine) movableNames() []string {
	var names []string
	for _, h := range m.servers {
		if h.movable {
			names = append(names, h.name)
		}
	}
	return names
}

// serve begins to accept connections.
func (m *machine) serve() {
	for _, h := range m.servers {
		m.serving++
		m.workers.Go(func() { m.served <- h.serve() })
		if h.movable {
			m.workers.Go(h.serveArrived)
		}
	}
}

// enthrone makes this process the main one of the service: the service manager listens to it. last is how the reload went
// that it came by, nil if by none.
func (m *machine) enthrone(last *handover.Outcome) {
	m.become(Ready)
	m.last = last
	if last == nil {
		m.tell(notify.Ready(), m.statusLine("ready"))
	}
	m.log.Info("ready", "generation", m.generation, "pid", os.Getpid(), "version", m.options.Version)
	m.next()
}

// tell notifies the service manager, if there is one.
func (m *machine) tell(states ...notify.State) {
	if err := m.notifier.Notify(states...); err != nil {
		m.log.Warn("cannot notify the service manager", "error", err)
	}
}

func (m *machine) onSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	switch {
	case slices.Contains(m.options.ReloadSignals, sig):
		m.onReload(reloadRequest{})
	case m.heir != nil:
		// systemd signals every process of a unit that it stops, and perhaps twice. The heir gets it too, and says when
		// this generation is to end.
	case m.state == Draining:
		m.log.Warn("told to stop a second time: closing what is left", "signal", sig)
		m.giveUp()
	default:
		m.log.Info("stopping", "signal", sig)
		m.stop()
	}
}

// onServed is told of a server that no longer accepts, which is right only while it drains.
func (m *machine) onServed(err error) {
	m.serving--
	if m.state != Draining {
		m.err = fmt.Errorf("serve: %w", err)
		m.log.Error("a server failed: stopping", "error", err)
		m.stop()
	}
}

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
			m.enthrone(msg.Outcome)
		}
	case handover.Adopt:
		m.adopt(msg, fds)
		return
	case handover.Reload:
		m.onReload(reloadRequest{from: a, answer: func(o handover.Outcome) {
			_ = a.conn.Send(handover.Message{Type: handover.Reloaded, Outcome: &o})
		}})
	case handover.Stop:
		m.log.Info("stopping", "reason", "the predecessor was told to while it handed over")
		m.stop()
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
		Listeners:  m.movableNames(),
	})
	if err != nil {
		m.log.Debug("an older generation went away while it was adopted", "pid", a.pid, "error", err)
	}
	m.listenToAncestor(a)
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
	m.enthrone(nil)
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

// end lets go of everything and waits for what runs on behalf of m. The signals stay caught: systemd may send SIGTERM more
// than once, and it must not cut short what main does after Run.
func (m *machine) end() {
	m.become(Gone)
	close(m.gone)
	for _, a := range m.ancestors {
		a.release()
		_ = a.conn.Close()
	}
	if m.heir != nil {
		m.heir.quit()
	}
	if m.orphan != nil {
		m.orphan.quit()
	}
	for _, h := range m.servers {
		_ = h.arrived.Close()
	}
	m.workers.Wait()
	_ = m.notifier.Close()
}
