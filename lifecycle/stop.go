package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/successor"
	"github.com/heirloom-go/heirloom/notify"
)

// callOffTimeout is how long a reload that is called off may take to end when
// the service is to end at once. Its successor is killed, or says that it
// serves already, within about a second.
const callOffTimeout = 3 * time.Second

var errAbandoned = errors.New("the reload could not be called off in time")

// Orders are what the service was told about its end.
type orders struct {
	toStop   bool // as soon as it is clear which process is the main one
	atOnce   bool
	bySignal bool // to this process: the next one means now
	beside   bool // the direct predecessor: when that has ended, one signal does not count
}

func (m *mainLoop) onStopSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	switch {
	case m.successor != nil && !m.successor.Lost:
		// systemd signals every process of a unit that it stops, and perhaps
		// twice. The successor gets it too, and says when this generation is to
		// end.
		m.lendQueueLate()
	case !m.hurries(sig):
		m.requestStop("signal", sig)
		m.told.toStop = true // also a process that drains already, and whose successor is gone
	case m.state == Starting:
		m.told.atOnce = true // as soon as this is the main process
	default:
		m.log.Warn("told to stop a second time: closing what is left", "signal", sig)
		m.giveUp()
	}
}

// hurries takes note of a signal to stop, and reports whether it means now: it
// is the second one, and not systemd's.
//
// systemd may have begun to stop the unit before it could take note of this
// process. Then it still has the predecessor for the main process, and signals
// all others when that has ended (SERVICE_FINAL_SIGTERM in systemd's
// service.c).
func (m *mainLoop) hurries(sig os.Signal) bool {
	switch {
	case !m.told.toStop, !m.told.bySignal: // it is the first, though the service may end for another reason
		m.told.bySignal = true
		return false
	case m.told.beside && !m.service.inherited.Predecessor.Lives():
		m.told.beside = false
		m.log.Info("taken for the signal of the predecessor's end: the next one closes what is left", "signal", sig)
		return false
	}
	return true
}

// noteBeside has one signal not count that comes when the direct predecessor
// has ended.
func (m *mainLoop) noteBeside() {
	p := m.service.inherited.Predecessor
	m.told.beside = p != nil && m.service.manager.Exists() && (m.state == Starting || p.Lives())
}

// checkBeside ends that if systemd follows this process, now that the
// predecessor has ended.
func (m *mainLoop) checkBeside() {
	if m.told.beside {
		m.background.Go(func() { m.ifMain(func() { m.told.beside = false }) })
	}
}

// requestStop stops, or puts it off until it is known which of two processes is
// the main one: that is the one to stop.
func (m *mainLoop) requestStop(key string, reason any) {
	if m.inPlace == nil && (m.state == LameDuck || m.state == Draining || m.state == Gone) {
		return
	}
	m.log.Info("stopping", key, reason)
	if !m.told.toStop {
		m.noteBeside()
	}
	m.told.toStop = true
	switch {
	case m.state == Starting:
		// The predecessor is told too, or goes on to make this process the main
		// one. The time that systemd gives has begun.
		if m.options.DrainTimeout == 0 {
			m.startBudget()
		}
	case m.startup != nil:
		m.callOff()
	default:
		m.stop()
	}
}

// onJobEnd is told of a job that ended, which before the drain is right for a
// worker alone.
func (m *mainLoop) onJobEnd(e callback.JobEnd) {
	switch {
	case m.state == Draining && e.Err != nil && !e.WasRun:
		m.log.Warn("server shutdown failed", "job", e.Job.Name, "error", e.Err)
	case m.state == Draining:
	case e.Err == nil && e.Job.Worker:
	case e.Err == nil:
		m.breakDown(fmt.Errorf("%s: %w", e.Job.Name, callback.ErrEnded))
	default:
		m.breakDown(fmt.Errorf("%s: %w", e.Job.Name, e.Err))
	}
}

// breakDown stops because something cannot go on.
func (m *mainLoop) breakDown(err error) {
	m.err = errors.Join(m.err, err)
	if m.state == LameDuck {
		m.stopServing()
		return
	}
	m.requestStop("error", err)
}

// stop ends this process, and with it the service unless the service manager
// starts another.
func (m *mainLoop) stop() {
	m.service.atStep("stop")
	m.told.toStop = true
	m.tell(notify.Stopping(), m.statusLine("stopping"))
	m.reloads.EndAll(handover.Outcome{Reason: ErrStopping.Error()})
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

// giveUp ends now. Nothing that still runs is waited for.
func (m *mainLoop) giveUp() {
	m.told.atOnce = true
	if m.startup != nil {
		m.hurryStartup()
		return
	}
	if m.state != Draining { // a lame duck
		m.leaveToStore()
		m.service.sockets.UnlinkOnClose(m.queue() != nil)
		m.drainToSink()
	}
	m.closeRest(m.leftover)
	m.become(Gone)
}

// callOff ends the reload that is under way, because the service is to stop.
// The time that the stop may take begins now. What follows is in onResult: most
// often the successor is not ready, and reloadFailed stops this process. One
// that was ready just then is handed over to, and told to stop itself. Should
// neither come in time, the deadline has abandonStartup.
func (m *mainLoop) callOff() {
	m.startup.Cancel()
	m.startBudget()
	m.armDeadline()
}

// armStartup sets the timer to when a reload that was called off is not waited
// for any more: it may hang, as a program on a dead file system does.
func (m *mainLoop) armStartup() {
	switch {
	case m.told.atOnce:
		m.drain.ArmIn(callOffTimeout)
	case m.told.toStop:
		m.drain.ArmFinish()
	}
}

// hurryStartup has giveUp go on when the reload has ended.
func (m *mainLoop) hurryStartup() {
	m.startup.Cancel()
	m.armStartup()
}

// giveUpAfterStartup goes on with giveUp.
func (m *mainLoop) giveUpAfterStartup() {
	if m.told.atOnce && m.startup == nil && m.state != Gone {
		m.giveUp()
	}
}

// abandonStartup goes on without the reload, which does not end. Should its
// successor serve in the end, it is told to stop as well.
func (m *mainLoop) abandonStartup() {
	m.startup.Abandon()
	m.onResult(successor.Result{Err: errAbandoned})
}
