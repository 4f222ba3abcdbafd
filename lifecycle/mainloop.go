package lifecycle

import (
	"context"
	"os"

	"github.com/heirloom-go/heirloom/internal/reloads"
)

// run is how a service lives: it is in one state after the other, each of
// which has a function here that waits for what may happen in it. Every
// function that changes the mainLoop runs in this goroutine, and none of them
// waits for anybody: a client, a successor, systemd or a function of the
// program. There are three exceptions, all with an end: a handover waits until
// systemd has read which process is the main one (see awaitRead), if it comes
// too late it asks which one is (see lendQueue), and what goes into the file
// descriptor store must have got there (see store).
//
//	Starting -> Ready <-> Reloading -> Draining -> Gone
//	            Ready -> LameDuck   -> Draining
func (m *mainLoop) run() {
	for m.state != Gone {
		switch m.state {
		case Starting:
			m.whileStarting()
		case Ready:
			m.whileReady()
		case Reloading:
			m.whileReloading()
		case LameDuck:
			m.whileLameDuck()
		case Draining:
			m.whileDraining()
		}
	}
}

// is reports whether the state is still that one, once everything is done that
// goes before any event: the end of a phase of the drain, and signals to stop.
func (m *mainLoop) is(state State) bool {
	for {
		m.advance()
		if m.state != state {
			return false
		}
		sig := m.service.caught.StopSignal()
		if sig == nil {
			return true
		}
		m.onStopSignal(sig)
	}
}

// whileStarting waits for the predecessor to make this process the main one.
// Who asks for the status is kept waiting, since that soon happens, but not for
// long: the predecessor may have to wait for a service manager that is busy.
func (m *mainLoop) whileStarting() {
	for m.is(Starting) {
		select {
		case sig := <-m.service.caught.Stop:
			m.onStopSignal(sig)
		case sig := <-m.service.caught.Reload:
			m.onReloadSignal(sig)
		case msg := <-m.messages:
			m.onMessage(msg)
		case happened := <-m.background.Events():
			happened()
		case q := <-m.service.asked.patient:
			q <- m.status()
		case <-m.report.timer.C:
			m.onProgress()
		}
	}
}

// whileReady serves, perhaps while older generations drain.
func (m *mainLoop) whileReady() {
	for m.is(Ready) {
		select {
		case sig := <-m.service.caught.Stop:
			m.onStopSignal(sig)
		case sig := <-m.service.caught.Reload:
			m.onReloadSignal(sig)
		case msg := <-m.messages:
			m.onMessage(msg)
		case happened := <-m.background.Events():
			happened()
		case q := <-m.service.asked.queries:
			q <- m.status()
		case <-m.report.timer.C:
			m.onProgress()
		case <-m.watchdog.Expired():
			m.watchdog.OnBeat()
		}
	}
}

// whileReloading serves while a successor starts. The deadline is that of a
// reload that was called off.
func (m *mainLoop) whileReloading() {
	for m.is(Reloading) {
		select {
		case sig := <-m.service.caught.Stop:
			m.onStopSignal(sig)
		case sig := <-m.service.caught.Reload:
			m.onReloadSignal(sig)
		case r := <-m.startup.Result:
			m.onResult(r)
		case msg := <-m.messages:
			m.onMessage(msg)
		case happened := <-m.background.Events():
			happened()
		case b := <-m.drain.Found:
			m.onBudget(b)
		case <-m.drain.Deadline.C:
			m.abandonStartup()
		case q := <-m.service.asked.queries:
			q <- m.status()
		case <-m.report.timer.C:
			m.onProgress()
		case <-m.watchdog.Expired():
			m.watchdog.OnBeat()
		}
	}
}

// whileLameDuck serves until the load balancers have noticed.
func (m *mainLoop) whileLameDuck() {
	for m.is(LameDuck) {
		select {
		case sig := <-m.service.caught.Stop:
			m.onStopSignal(sig)
		case sig := <-m.service.caught.Reload:
			m.onReloadSignal(sig)
		case msg := <-m.messages:
			m.onMessage(msg)
		case happened := <-m.background.Events():
			happened()
		case b := <-m.drain.Found:
			m.onBudget(b)
		case <-m.drain.Deadline.C:
			m.stopServing()
		case q := <-m.service.asked.queries:
			q <- m.status()
		case <-m.report.timer.C:
			m.onProgress()
		case <-m.watchdog.Expired():
			m.watchdog.OnBeat()
		}
	}
}

// whileDraining finishes the requests, connections and jobs that are under way.
// Connections at rest go to the successor, or to a queue for the next process.
func (m *mainLoop) whileDraining() {
	for m.is(Draining) {
		select {
		case sig := <-m.service.caught.Stop:
			m.onStopSignal(sig)
		case sig := <-m.service.caught.Reload:
			m.onReloadSignal(sig)
		case msg := <-m.messages:
			m.onMessage(msg)
		case happened := <-m.background.Events():
			happened()
		case b := <-m.drain.Found:
			m.onBudget(b)
		case <-m.drain.Deadline.C:
			m.onDeadline()
		case <-m.conns.Empty():
		case <-m.conns.Silence():
			m.onSilent()
		case <-m.conns.Again():
			m.drainToSink()
		case <-m.flushNow():
			m.queue().Flush()
		case <-m.flushSoon():
			m.queue().Flush()
		case q := <-m.service.asked.queries:
			q <- m.status()
		case <-m.report.timer.C:
			m.onProgress()
		case <-m.watchdog.Expired():
			m.watchdog.OnBeat()
		}
	}
}

// relay passes on to the loop those events from outside that need no order, and
// handles itself the signals that do not change the state.
func (m *mainLoop) relay(ctx context.Context) {
	done := ctx.Done()
	for {
		select {
		case <-done:
			done = nil
			m.background.Post(func() { m.requestStop("reason", context.Cause(ctx)) })
		case r := <-m.service.asked.reloads:
			m.background.Post(func() { m.onReload(r) })
		case err := <-m.service.health.Died():
			m.background.Post(func() { m.watchdog.OnDead(err) })
		case sig := <-m.service.caught.Stacks:
			m.onStacksSignal(sig)
		case sig := <-m.service.caught.Profiles:
			m.onProfileSignal(sig)
		case <-m.service.stage.gone:
			return
		}
	}
}

func (m *mainLoop) onReloadSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	m.onReload(reloads.Request{})
}

// onStacksSignal logs the stacks, in a goroutine of its own, since the log may
// take its time, and in one at a time, however many signals come.
func (m *mainLoop) onStacksSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	if write := m.service.debug.stacks.Next(m.log); write != nil {
		m.background.Go(write)
	}
}

// onProfileSignal starts or stops a profile, in a goroutine of its own as well,
// and in few of them.
func (m *mainLoop) onProfileSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	toggle := m.service.debug.profiler.Next()
	if toggle == nil {
		m.log.Warn("a profile is still being written", "ignored", sig)
		return
	}
	m.background.Go(toggle)
}
