package lifecycle

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/internal/systemd"
	"github.com/heirloom-go/heirloom/internal/transfer"
	"github.com/heirloom-go/heirloom/notify"
)

// endingTimeout bounds the question whether the service ends for good.
const endingTimeout = 500 * time.Millisecond

// adoptStored takes over the connections of generations that are gone.
func (m *mainLoop) adoptStored() {
	for _, e := range m.service.inherited.Found.Entries {
		m.adoptOne(e)
	}
}

// adoptOne takes over the connections of one, which is counted in adopting.
func (m *mainLoop) adoptOne(e *fdstore.Entry) {
	m.background.Go(func() {
		e.Take(m.service.registered.receiver, m.service.stage.gone, func() { m.service.atStep("settle") })
		m.background.Post(func() { m.forget(e) })
	})
}

// forget notes that the connections of e are all taken over.
func (m *mainLoop) forget(e *fdstore.Entry) {
	m.stored.adopting--
	m.stored.Taken(e)
	if m.stored.adopting > 0 {
		return
	}
	m.stored.Forget()
	switch { // perhaps there was no room while they were there
	case m.state == Ready:
		m.storeAgain()
	case m.state == Draining && m.told.toStop && m.successor == nil:
		m.tryStoreAgain()
		m.service.sockets.UnlinkOnClose(m.queue() != nil)
		m.drainToSink()
	}
	m.next()
}

// storeAgain puts into the store what has found no room there.
func (m *mainLoop) storeAgain() {
	if !m.stored.IsCertain() {
		m.store()
	}
	if m.stored.kept.BeginAgain(m.stored.Store, len(m.service.sockets.Stored())) {
		m.checkKeptSoon()
	}
}

// keep has connections at rest outlive a crash of this process, and takes over
// those that have outlived that of the process before. Without a right to the
// store, which a predecessor that died may still have, it does neither.
func (m *mainLoop) keep(entitled bool) {
	kept, left := &m.stored.kept, m.service.inherited.Ledger
	switch {
	case !m.service.manager.Exists():
		return
	case !entitled:
		kept.Off = errOrphan
		m.background.Go(m.askWhetherMain)
		return
	case left != nil:
		kept.GoOn(left)
		m.takeOverKept(left)
	case m.service.inherited.HasLedger:
		m.tell(notify.FDStoreRemove(fdstore.LedgerName))
	}
	switch {
	case m.service.registered.noLedger:
		kept.End(errNoLedger, m.tell)
		kept.Off = errNoLedger
	case left == nil:
		kept.Begin(m.stored.Store, len(m.service.sockets.Stored()))
		m.checkKeptSoon()
	}
}

// managerTimeout bounds the wait for a systemd that is busy. Nobody waits for the
// answer, and what it is about is whether connections outlive a crash.
const managerTimeout = 2 * time.Minute

// askWhetherMain has an orphan keep connections if the predecessor had named it
// the main process before it died: systemd then follows it, and nobody else
// will ever have the right to the store.
func (m *mainLoop) askWhetherMain() {
	m.ifMain(func() {
		if m.state == Ready && errors.Is(m.stored.kept.Off, errOrphan) {
			m.keep(true)
		}
	})
}

// ifMain has the loop call then if this is the main process to systemd. It
// waits for the answer.
func (m *mainLoop) ifMain(then func()) {
	ctx, cancel := context.WithTimeout(m.background.Alive, managerTimeout)
	defer cancel()
	main, err := systemd.AskMainProcess(ctx)
	if err != nil {
		m.log.Debug("cannot find out whether systemd follows this process", "error", err)
	}
	if err == nil && main.PID == os.Getpid() {
		m.background.Post(func() {
			m.log.Debug("this is the main process to systemd")
			then()
		})
	}
}

// checkKept ends a ledger that the store has refused, as it has the handover
// socket, which does not show at once: there is no store. Where it cannot be told
// yet, that is tried again.
func (m *mainLoop) checkKept() {
	switch {
	case m.stored.kept.Off != nil:
	case m.state != Ready || m.stored.adopting > 0:
		m.checkKeptSoon()
	case m.stored.Queue() == nil:
		m.stored.kept.End(fdstore.ErrNoStore, m.tell)
	case !fdstore.KnowsRoom():
		m.background.Go(m.askWhetherStored)
	}
}

func (m *mainLoop) checkKeptSoon() {
	time.AfterFunc(fdstore.Doubt, func() { m.background.Post(m.checkKept) })
}

// askWhetherStored ends a ledger of which the store has taken a part. That there
// is a store is known.
func (m *mainLoop) askWhetherStored() {
	ctx, cancel := context.WithTimeout(m.background.Alive, managerTimeout)
	defer cancel()
	most, err := systemd.AskStoreMax(ctx)
	if err != nil || most == 0 {
		m.log.Debug("cannot find out whether systemd has room for all descriptors", "error", err)
		return
	}
	m.background.Post(func() {
		if err := fdstore.CheckRoom(most, len(m.service.sockets.Stored())); err != nil {
			m.stored.kept.Fail(err, m.tell)
		}
	})
}

// takeOverKept takes over the connections in the ledger of a process that has
// crashed.
func (m *mainLoop) takeOverKept(l *ledger.Ledger) {
	m.stored.adopting++
	l.ExpectAdopt() // a stop may come before the goroutine runs
	m.background.Go(func() {
		adopted, err := m.service.registered.receiver.TakeKept(l)
		m.background.Post(func() {
			m.stored.kept.TookOver(adopted)
			if err != nil {
				m.log.Error("cannot read which connections the process before had", "error", err)
				m.stored.kept.End(err, m.tell)
			}
			m.forget(&fdstore.Entry{})
		})
	})
}

// newStore makes the file descriptor store of a service that runs.
func (m *mainLoop) newStore() *fdstore.Store {
	return fdstore.New(fdstore.Config{
		Manager:    m.service.manager,
		Generation: m.service.inherited.Generation,
		Hello:      m.service.hello(),
		Owner:      m.conns,
		Log:        m.log,
	}, m.service.inherited.Found)
}

// store puts into the file descriptor store what the process after this one
// needs, and takes out the sockets that the program has not asked for.
func (m *mainLoop) store() {
	if !m.service.manager.Exists() {
		return
	}
	m.service.atStep("store")
	if m.stored.Save(m.service.sockets.Stored(), m.service.sockets.Obsolete(m.stored.Store)) {
		m.service.atStep("stored")
	}
}

// leaveToStore has connections at rest queued in the store, if there is one.
func (m *mainLoop) leaveToStore() {
	if q := m.stored.NeededQueue(); q != nil {
		m.conns.LeaveTo(q)
	}
}

// queue returns the queue that takes connections now, nil if there is none.
func (m *mainLoop) queue() *transfer.Queue {
	q, _ := m.conns.Sink().(*transfer.Queue)
	return q
}

func (m *mainLoop) flushNow() <-chan struct{} {
	if q := m.queue(); q != nil {
		return q.Full()
	}
	return nil
}

func (m *mainLoop) flushSoon() <-chan time.Time {
	if q := m.queue(); q != nil {
		return q.Due()
	}
	return nil
}

// leave queues the passed states, once every connection is gone.
func (m *mainLoop) leave() {
	q := m.queue()
	if q == nil {
		return
	}
	q.Flush()
	m.service.atStep("queued")
	for _, given := range m.collectLast() {
		if err := q.Send(given.Send); err != nil {
			m.log.Error("cannot pass state to the next process", "error", err)
		}
	}
	if m.inPlace == nil {
		m.service.sockets.RemovePaths(m.isEnding)
		_ = m.service.manager.Await() // it does not listen to the dead
	}
}

// isEnding reports whether the service ends for good, as far as systemd can be
// asked.
func (m *mainLoop) isEnding() bool {
	ctx, cancel := context.WithTimeout(context.Background(), endingTimeout)
	defer cancel()
	ending, err := systemd.Ending(ctx)
	if err != nil {
		m.log.Debug("cannot ask whether the service ends: its Unix socket paths stay", "error", err)
	}
	return ending
}

// collectLast asks for every state when this process has nothing else left to
// do, and returns those that can be had. Each function may take an equal share
// of the time that is left.
//
// The loop has ended, so awaitLast handles the events that still come.
func (m *mainLoop) collectLast() []passedstate.Given {
	var states []passedstate.Given
	var errs []error
	sources := m.service.registered.states
	for i, source := range sources {
		g := m.awaitLast(source, len(sources)-i)
		if g.Err != nil {
			errs = append(errs, g.Err)
			continue
		}
		states = append(states, g)
	}
	if err := errors.Join(errs...); err != nil {
		m.log.Error("cannot pass state to the next process", "error", err)
	}
	return states
}

// awaitLast asks for one of so many passed states that are still to be asked
// for. A second signal to stop says that there is no time, and so does the first
// one in place, where nobody counts on the next program then.
func (m *mainLoop) awaitLast(source *passedstate.Source, left int) passedstate.Given {
	answer := source.Ask(m.log)
	timer := time.NewTimer(m.lastShare(left))
	defer timer.Stop()
	for {
		select {
		case g := <-answer:
			return g
		case <-timer.C:
			return source.Late()
		case found := <-m.drain.Found:
			m.onBudget(found)
		case sig := <-m.service.caught.Stop:
			if m.inPlace == nil && !m.hurries(sig) {
				m.told.toStop = true
				continue
			}
			m.log.Warn("told to stop: not waiting for state", "signal", sig)
			m.told.atOnce = true
		case q := <-m.service.asked.queries: // perhaps of source itself
			q <- m.status()
			continue
		case <-m.report.timer.C:
			m.onLastProgress()
			continue
		case <-m.watchdog.Expired():
			m.beatLast()
			continue
		}
		timer.Reset(m.lastShare(left))
	}
}

// lastShare is how long one of so many functions may take.
func (m *mainLoop) lastShare(left int) time.Duration {
	if m.told.atOnce {
		return drainbudget.ExitGrace
	}
	return max(time.Until(m.drain.ExitBy())/time.Duration(left), drainbudget.ExitGrace)
}

// onLastProgress is onProgress for the end of a stop. No older generation is
// asked: nobody handles what would come of it.
func (m *mainLoop) onLastProgress() {
	if m.successor != nil {
		return
	}
	m.report.timer.Reset(progressInterval)
	if m.told.toStop {
		m.extend()
	}
	text := "passing state to the next process" + timeLeft(m.drain.ExitBy())
	m.service.manager.Say(servicemanager.Status, m.statusLine(text))
}

// beatLast gives a sign of life on the way to another program in this process:
// only a stop takes back what the service manager expects.
func (m *mainLoop) beatLast() {
	if m.inPlace != nil && m.watchdog.IsOn() {
		m.tell(notify.Watchdog())
		m.unwatch()
		m.watchdog.Again()
	}
}
