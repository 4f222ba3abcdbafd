package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/background"
	"github.com/heirloom-go/heirloom/internal/boundedlog"
	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drain"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/inplace"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/reloads"
	"github.com/heirloom-go/heirloom/internal/successor"
	"github.com/heirloom-go/heirloom/notify"
)

// hurryTimeout is what the oldest predecessor is left with when too many drain.
const hurryTimeout = 5 * time.Second

// A mainLoop is the state of a Service that runs. It belongs to the goroutine
// of Run, which is in run: everything that changes the state happens there.
type mainLoop struct {
	service *Service
	options Options
	log     *boundedlog.Logger
	conns   *conntrack.Registry

	state State
	since time.Time
	told  orders
	err   error // that Run returns

	startup      *successor.Startup   // of a successor
	successor    *successor.Successor // this generation has handed over
	inPlace      *inplace.Replacement // the program is about to be replaced
	stored       stored
	predecessors predecessor.Group
	messages     chan peerMessage // of the successor and the predecessors
	reloads      reloads.Reloads

	tasks      tasks
	background *background.Background
	drain      *drain.Drain
	report     progress
	watchdog   *health.Watchdog
}

// Stored are the entries that this process has in the file descriptor store,
// and those that it is still taking over from there.
type stored struct {
	*fdstore.Store
	adopting int // queues that are still being taken over
	kept     fdstore.Keeping
}

// Tasks count what a drain waits for, connections apart.
type tasks struct {
	serving   int // servers whose Accept goes on
	answering int // of them, while this process drains: the one of the control socket
	jobs      *callback.Jobs
	releasing int // calls of releaseEarly
}

func newMainLoop(s *Service) *mainLoop {
	m := &mainLoop{
		service:  s,
		options:  s.options,
		log:      s.log,
		conns:    s.conns,
		state:    Starting,
		since:    time.Now(),
		stored:   stored{adopting: len(s.inherited.Found.Entries), kept: fdstore.NewKeeping(s.conns, errNoManager, s.log)},
		messages: make(chan peerMessage),
		drain:    drain.New(),
		report:   newProgress(),

		background: s.background,
	}
	m.tasks.jobs = callback.NewJobs(callback.JobsConfig{All: s.registered.jobs, Log: m.log, Post: m.background.Post, Ended: m.onJobEnd})
	m.watchdog = health.NewWatchdog(s.manager, s.health, health.WatchdogConfig{Aside: m.background.Aside, Stands: m.stands}, m.log)
	m.stored.Store = m.newStore()
	return m
}

func (m *mainLoop) become(state State) {
	switch {
	case state == Reloading, state == Ready && m.state == Reloading: // it serves all the while
	case state == Gone: // it says that it drains until Run returns
	default:
		m.since = time.Now()
	}
	m.state = state
	shown := state
	if state == Draining && m.successor != nil {
		shown = Ready // the service is
	}
	m.service.stage.show(shown)
	switch state {
	case LameDuck:
		close(m.service.stage.lameDuck)
		m.watchdog.Hurry()
	case Draining:
		m.watchdog.Hurry()
		m.background.Go(m.service.debug.profiler.End)
	}
}

// start serves; with a predecessor it first says that it is ready.
func (m *mainLoop) start() {
	m.service.sockets.CloseUnclaimed()
	m.service.registered.mu.Lock()
	m.service.inherited.States.Drop(m.log)
	m.service.registered.mu.Unlock()
	m.background.Go(m.service.inherited.Older.Await)
	if m.service.inherited.Predecessor == nil {
		m.serve()
		outcome := m.service.inherited.Found.Outcome
		if outcome != nil { // the program before could not know how long this one takes to start
			outcome.Duration = time.Since(outcome.At)
		}
		m.becomeMain(outcome, false)
		m.adoptStored()
		if m.service.inherited.Found.Stop {
			m.told.bySignal = true
			m.requestStop("reason", "a signal before the program was replaced")
		}
		return
	}
	m.listenToPredecessor(m.service.inherited.Predecessor)
	err := m.service.inherited.Predecessor.Post(handover.Message{
		Type:    handover.Ready,
		Process: handover.Process{Protocol: handover.Protocol, PID: os.Getpid()},
		Moving:  m.service.registered.receiver.Moving(),
	})
	if err != nil { // it died: its end-of-file is on its way
		m.log.Warn("cannot tell the predecessor that this process is ready", "error", err)
	}
	if errors.Is(err, handover.ErrTooLarge) { // then it waits
		_ = m.service.Fail(err)
	}
}

func (m *mainLoop) listenToPredecessor(p *predecessor.Predecessor) {
	m.predecessors.Add(p)
	deliver := func(d predecessor.Delivery, released <-chan struct{}) bool {
		select {
		case m.messages <- peerMessage{d, p}:
			return true
		case <-released:
			return false
		}
	}
	m.background.Go(func() { p.Listen(m.service.registered.receiver, deliver) })
}

// serving names a loop that serves connections, in the log. In it net/http calls
// BaseContext, ConnContext and, for http.StateNew, ConnState. In an http.Server
// alone a panic of theirs ends the process: here it is the loop's error. All
// else runs in the goroutine of a connection.
const serving = "BaseContext, ConnContext or ConnState of "

// serve begins to accept connections, and to read datagrams. A successor may be
// the only one that does so before it is the main process: a load balancer that
// asks it must not find that the service is not ready.
func (m *mainLoop) serve() {
	m.service.stage.show(Ready)
	m.service.sockets.Open()
	m.tasks.jobs.Start(m.service.contexts.workers, false)
	for _, server := range m.service.registered.servers {
		m.tasks.serving++
		m.background.Call(serving+server.At().Name, server.Serve, m.onServed)
		if server.At().Movable {
			m.serveArrived(server)
		}
	}
}

// becomeMain makes this process the main one of the service: the service
// manager listens to it. last is the outcome of the reload that started it, nil
// if there was none; announced says that the predecessor has told the service
// manager.
func (m *mainLoop) becomeMain(last *handover.Outcome, announced bool) {
	m.become(Ready)
	m.reloads.Last = last
	m.store()
	if !announced {
		m.tell(notify.Ready(), m.readyLine())
	}
	if m.told.toStop && m.options.LameDuck == 0 {
		m.stored.kept.Off = errLeaving
	} else {
		m.keep(announced || m.service.inherited.Predecessor == nil)
	}
	m.watchdog.Start()
	m.tasks.jobs.Start(m.service.contexts.workers, true)
	m.log.Info("ready", "generation", m.service.inherited.Generation, "pid", os.Getpid(), "version", m.options.Version)
	if m.predecessors.Len() > 0 {
		m.reportProgress()
	}
	if m.told.toStop {
		m.stop()
	}
	if m.told.atOnce {
		m.giveUp()
	}
	m.next()
}

// onServed is told of a server that no longer accepts, which is right only
// while it drains.
func (m *mainLoop) onServed(err error) {
	m.tasks.serving--
	if m.state != Draining {
		m.breakDown(fmt.Errorf("serve: %w", err))
	}
}

// end closes everything and waits for the goroutines of m. The signals
// stay caught: systemd may send SIGTERM more than once, and it must not cut
// short what main does after Run.
func (m *mainLoop) end() {
	m.become(Gone)
	m.background.Die()
	close(m.service.stage.gone)
	m.service.inherited.Older.Quit()
	m.service.contexts.cancelRequests(ErrStopping)
	m.predecessors.Close()
	if m.successor != nil {
		m.successor.Quit()
	}
	m.stored.Close()
	for _, server := range m.service.registered.servers {
		m.background.Close(server.At().Listener)
		server.Close()
	}
	for _, c := range m.conns.All() { // of the control socket, and those whose Close hangs
		m.background.Close(c.Base().Raw)
	}
	m.service.sockets.Close() // of datagrams; the others are closed already
	m.conns.Stop()
	m.background.Await(max(m.drain.Within(workersTimeout), drainbudget.ExitGrace))
	m.service.manager.Close(m.sendTimeout())
	m.log.Flush(drainbudget.ExitGrace)
}

// serveArrived serves the connections that move here.
func (m *mainLoop) serveArrived(s server) {
	m.background.Call(serving+s.At().Name, func() error {
		s.ServeArrived()
		return nil
	}, m.onBroken)
}

// onBroken is told of the end of a serveArrived, which is right only when it
// was closed at the very end.
func (m *mainLoop) onBroken(err error) {
	if err != nil {
		m.breakDown(fmt.Errorf("serve connections that moved here: %w", err))
	}
}

// workersTimeout bounds the wait for the goroutines of a service that ends.
const workersTimeout = time.Second

// tell tells the service manager, if there is one. It does not wait for it.
func (m *mainLoop) tell(states ...notify.State) { m.service.manager.Post(states...) }

// sendTimeout bounds the wait for a service manager that does not read, at the
// end: that it hears of a successor may be what keeps the service alive.
func (m *mainLoop) sendTimeout() time.Duration {
	if m.told.atOnce {
		return workersTimeout
	}
	return max(m.drain.Within(notify.SendTimeout), drainbudget.ExitGrace)
}

// awaitRead waits until the service manager has read all that it was told, and
// says meanwhile where this process stands.
func (m *mainLoop) awaitRead() {
	read := m.service.manager.Read()
	for {
		select {
		case <-read:
			return
		case q := <-m.service.asked.queries:
			q <- m.status()
		}
	}
}

// stands says whether this is the main process to the service manager, and
// whether it drains or is about to.
func (m *mainLoop) stands() (watched, ending bool) {
	return m.successor == nil && m.state != Starting && m.state != Gone, m.state == LameDuck || m.state == Draining
}

// unwatch is the last that the watchdog hears of this program. A new one in its
// place is given time to start. The end of a stop is bounded by
// TimeoutStopSec=, and main may have something left to do after Run.
func (m *mainLoop) unwatch() {
	switch {
	case !m.watchdog.IsOn() || m.successor != nil:
	case m.inPlace != nil:
		m.tell(notify.Watchdog())
		m.tell(notify.ExtendTimeout(m.options.ReloadTimeout)) // after the sign, which would take it back
	case m.told.toStop:
		m.tell(notify.WatchdogUsec(0)) // until the next process is started
	}
}
