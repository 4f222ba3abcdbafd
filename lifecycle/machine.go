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
	LameDuck  State = "lame duck" // serving, but about to drain: see Options.LameDuck
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

	heir      *heir    // this generation has handed over
	stored    *queue   // in the file descriptor store, for a process to come
	inPlace   *inPlace // the program is about to be replaced
	stopping  bool     // once it is clear which process is the main one
	hearsay   bool     // as the predecessor was told: a signal to this process is the same one
	settling  int      // estates that are still being taken over
	settled   chan *estate
	forwarded [][]reloadRequest // to the heir, by message
	ancestors []*ancestor
	last      *handover.Outcome

	serving   int // servers whose Accept goes on
	answering int // of them, while this process drains: the one of the control socket
	served    chan error
	working   int // goroutines of jobs
	ended     chan jobEnd
	killing   int // jobs that are being ended at once
	killed    chan struct{}
	letters   chan letter
	workers   sync.WaitGroup
	alive     context.Context // until the workers are to end
	die       context.CancelFunc
	lingering *time.Timer

	phase      Phase
	closed     bool // what was left: nothing but older generations is waited for
	drainBegan time.Time
	budget     budget // its source is empty as long as it is not known
	budgets    chan budget
	deadline   *time.Timer // of the phase
	halfway    *time.Timer
	hooked     chan error
	hooksDone  bool
	reporting  bool // the service manager is told what is waited for
	progress   *time.Timer
	reported   chan []Predecessor
	watchdog   watchdog
	err        error
}

// Run serves until the service is replaced, or is told to stop by a signal or the end of ctx, and what it had begun is
// finished. It returns nil then; where the program is replaced in place it does not return. It returns early, having drained
// the rest, with the error of a server or worker that could not go on. An error matches [ErrDrainTimeout] if connections had to be
// closed, [ErrReload] if the successor that took over ended before this process did, and [ErrRunning] if Run was called before.
// The process should end when Run returns; the signals of Options do nothing from then on.
//
// Run says that the service is ready: to the service manager, or to the predecessor, which then hands over. So it comes last
// in main. What was handed over and nobody has asked for is closed then.
func (s *Service) Run(ctx context.Context) error {
	if err := s.checkBeforeReady(ctx); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	m := &machine{
		Service:   s,
		state:     Starting,
		since:     time.Now(),
		served:    make(chan error, len(s.servers)),
		letters:   make(chan letter),
		settled:   make(chan *estate),
		settling:  len(s.estates),
		ended:     make(chan jobEnd),
		killed:    make(chan struct{}),
		budgets:   make(chan budget),
		hooked:    make(chan error),
		reported:  make(chan []Predecessor),
		deadline:  stoppedTimer(),
		lingering: stoppedTimer(),
		halfway:   stoppedTimer(),
		progress:  stoppedTimer(),
		watchdog:  newWatchdog(s.signOfLife),
	}
	m.alive, m.die = context.WithCancel(context.Background())
	m.start()
	m.loop(ctx)
	m.unwatch()
	m.leave()
	m.end()
	if m.inPlace != nil {
		m.err = errors.Join(m.err, m.replace())
	}
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

func (m *machine) loop(ctx context.Context) {
	done := ctx.Done()
	for {
		if m.advance(); m.state == Gone {
			return
		}
		select {
		case sig := <-m.signals:
			m.onSignal(sig)
		case sig := <-m.tools:
			m.onToolSignal(sig)
		case <-done:
			done = nil
			m.askedToStop("reason", context.Cause(ctx))
		case r := <-m.reloads:
			m.onReload(r)
		case r := <-m.attemptResult():
			m.onResult(r)
		case l := <-m.letters:
			m.onLetter(l)
		case err := <-m.served:
			m.onServed(err)
		case e := <-m.ended:
			m.onJobEnd(e)
		case <-m.killed:
			m.killing--
		case err := <-m.hooked:
			m.onHooked(err)
		case b := <-m.budgets:
			if b.began.Equal(m.drainBegan) {
				m.setBudget(b)
			}
		case <-m.progress.C:
			m.onProgress()
		case predecessors := <-m.reported:
			m.onReports(predecessors)
		case <-m.watchdog.timer.C:
			m.onBeat()
		case err := <-m.watchdog.checked:
			m.onChecked(err)
		case err := <-m.health.died:
			m.onDead(err)
		case q := <-m.statusQueries():
			q <- m.status()
		case e := <-m.settled:
			m.forget(e)
		case <-m.flushNow():
			m.queue().flush()
		case <-m.flushSoon():
			m.queue().flush()
		case <-m.conns.empty:
		case <-m.returned:
			m.restartLinger()
		case <-m.lingering.C:
			m.lingered.Store(true)
			m.takeAtRest()
		case <-m.halfway.C:
			m.late.Store(true)
		case <-m.deadline.C:
			m.onDeadline()
		}
	}
}

func (m *machine) become(state State) {
	if state != Reloading && (state != Ready || m.state != Reloading) { // then it serves all the while
		m.since = time.Now()
	}
	m.state = state
	shown := state
	if state == Draining && m.heir != nil {
		shown = Ready // the service is
	}
	m.shown.Store(&shown)
	switch state {
	case LameDuck:
		close(m.lame)
		m.hurryWatchdog()
	case Draining:
		m.hurryWatchdog()
		m.workers.Go(m.profiler.end)
	}
}

// start serves, or offers the predecessor to.
func (m *machine) start() {
	if err := m.table.Close(); err != nil {
		m.log.Warn("cannot close what nobody asked for", "error", err)
	}
	m.dropHeirlooms()
	m.workers.Go(m.elders.await)
	if m.ancestor == nil {
		m.serve()
		if m.outcome != nil { // the program before could not know how long this one takes to start
			m.outcome.Duration = time.Since(m.outcome.At)
		}
		m.enthrone(m.outcome, false)
		m.settleEstates()
		if m.stopAsked {
			m.askedToStop("reason", "a signal before the program was replaced")
		}
		return
	}
	m.listenToAncestor(m.ancestor)
	err := m.ancestor.conn.Send(handover.Message{
		Type:      handover.Ready,
		Protocol:  handover.Protocol,
		PID:       os.Getpid(),
		Listeners: m.movable(false),
		Streams:   m.movable(true),
	})
	if err != nil { // it died: its end-of-file is on its way
		m.log.Warn("cannot tell the predecessor that this process is ready", "error", err)
	}
}

func (m *machine) listenToAncestor(a *ancestor) {
	m.ancestors = append(m.ancestors, a)
	m.workers.Go(func() { m.listenTo(a, m.letters) })
}

// movable returns the names of the listeners whose connections, of HTTP or of Streams, may move here.
func (m *machine) movable(stream bool) []string {
	var names []string
	for _, server := range m.servers {
		if p := server.at(); p.movable && p.stream == stream {
			names = append(names, p.name)
		}
	}
	return names
}

// serve begins to accept connections, and to read datagrams.
func (m *machine) serve() {
	for _, l := range m.listeners {
		l.open()
	}
	m.startJobs(false)
	for _, server := range m.servers {
		m.serving++
		m.workers.Go(func() { m.served <- server.serve() })
		if server.at().movable {
			m.workers.Go(server.serveArrived)
		}
	}
}

// enthrone makes this process the main one of the service: the service manager listens to it. last is how the reload went
// that it came by, nil if by none; announced, whether the predecessor has told the service manager.
func (m *machine) enthrone(last *handover.Outcome, announced bool) {
	m.become(Ready)
	m.last = last
	m.store()
	if !announced {
		m.tell(notify.Ready(), m.readyLine())
	}
	m.watch()
	m.startJobs(true)
	m.log.Info("ready", "generation", m.generation, "pid", os.Getpid(), "version", m.options.Version)
	if len(m.ancestors) > 0 {
		m.reportProgress()
	}
	if m.stopping {
		m.stop()
	}
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
	case m.hearsay:
		m.hearsay = false
	case m.stopping && m.state != Starting:
		m.log.Warn("told to stop a second time: closing what is left", "signal", sig)
		m.giveUp()
	default:
		m.askedToStop("signal", sig)
	}
}

// askedToStop stops, or puts it off until it is known which of two processes is the main one: that is the one to stop.
func (m *machine) askedToStop(key string, reason any) {
	if m.inPlace == nil && (m.state == LameDuck || m.state == Draining || m.state == Gone) {
		return
	}
	m.log.Info("stopping", key, reason)
	m.stopping = true
	switch {
	case m.state == Starting:
		// The predecessor is told too, or goes on to make this process the main one.
	case m.attempt != nil:
		m.attempt.cancel()
	default:
		m.stop()
	}
}

// onServed is told of a server that no longer accepts, which is right only while it drains.
func (m *machine) onServed(err error) {
	m.serving--
	if m.state != Draining {
		m.breakDown(fmt.Errorf("serve: %w", err))
	}
}

// end lets go of everything and waits for what runs on behalf of m. The signals stay caught: systemd may send SIGTERM more
// than once, and it must not cut short what main does after Run.
func (m *machine) end() {
	m.become(Gone)
	m.die()
	close(m.gone)
	m.elders.quit()
	m.cancelRequests(ErrStopping)
	for _, a := range m.ancestors {
		a.release()
		_ = a.conn.Close()
	}
	if m.heir != nil {
		m.heir.quit()
	}
	if m.stored != nil {
		m.stored.close()
	}
	for _, server := range m.servers {
		_ = server.at().listener.Close()
		server.close()
	}
	for _, c := range m.conns.all() { // of the control socket
		_ = c.base().raw.Close()
	}
	for _, l := range m.listeners {
		_ = l.socket.Close() // of datagrams; the others are closed already
	}
	m.workers.Wait()
	_ = m.notifier.Close()
}
