package lifecycle

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/inplace"
	"github.com/heirloom-go/heirloom/internal/signals"
)

func (s *Service) replacesInPlace() bool {
	switch s.options.ReloadMode {
	case NewProcess:
		return false
	case Exec:
		return true
	default:
		return !s.manager.Follows()
	}
}

// beginInPlace drains so that the program can be replaced. No failure from here
// on leaves clients without a process: if the new program cannot be executed
// after all, the old one is.
func (m *mainLoop) beginInPlace() {
	outcome := handover.Outcome{At: time.Now(), Generation: m.service.inherited.Generation, PID: os.Getpid()}
	r, err := inplace.Prepare(inplace.Config{
		Program:    m.service.program,
		Generation: m.service.inherited.Generation,
		Sockets:    m.service.sockets.Duplicate,
		Hello:      m.service.hello(),
		Owner:      m.conns,
		Log:        m.log,
	})
	if err != nil {
		outcome.Reason, outcome.Duration = err.Error(), time.Since(outcome.At)
		m.reloadFailed(outcome)
		return
	}
	m.inPlace = r
	m.service.stage.replaced.Store(true)
	m.reloads.EndAll(m.begunInPlace()) // who asked during a dry run as well: the new program starts later than that
	m.conns.LeaveTo(r.Queue)
	m.drainToSink()
}

// begunInPlace is the outcome of every reload that is asked for until the
// program is replaced.
func (m *mainLoop) begunInPlace() handover.Outcome {
	return handover.Outcome{InPlace: true, Generation: m.service.inherited.Generation, PID: os.Getpid()}
}

// abandonInPlace takes back the connections that were queued, for this process
// is told to stop after all.
func (m *mainLoop) abandonInPlace() {
	r := m.inPlace
	m.inPlace = nil
	m.service.stage.replaced.Store(false)
	m.drain.Forget() // the service manager counts from now
	m.conns.LeaveTo(nil)
	for _, server := range m.service.registered.servers { // before any comes back: its next response is the last
		server.At().StopMoving(conntrack.Lingering)
	}
	for _, e := range r.TakeBack() {
		m.stored.adopting++
		m.adoptOne(e)
	}
	m.conns.Linger()
}

// replace replaces the program, and returns only if that is impossible.
//
// A signal on its way, to reload say, must not kill the new program before it
// can catch it; and need not be kept, since what asked for it is older than the
// new program. Ignored signals stay ignored across execve(2).
func (m *mainLoop) replace(ctx context.Context) error {
	defer m.inPlace.Discard()
	m.service.atStep("replace")
	m.log.Info("replacing the program", "program", m.service.program)
	m.log.Flush(drainbudget.ExitGrace)
	signals.Ignore(m.options.signals().Harmless())
	isStopped := func() bool { return m.toldToStop() || ctx.Err() != nil }
	err := m.inPlace.Exec(m.service.args(), isStopped, func(environ []string) []string {
		m.service.atStep("last words")
		return m.service.manager.SameProcess(environ)
	})
	return fmt.Errorf("%w: %w", ErrReload, err)
}

// toldToStop reports whether a signal to stop came after the last look at
// signals. One that comes later ends the process, as it was to. But the kernel
// drops for PID 1 what that does not catch, so there the signals stay caught to
// the end. Those that come from then on until the new program catches them are
// lost.
// To block them over execve(2) would keep them, but Go's runtime would then
// have them blocked for good in all children of the new program.
func (m *mainLoop) toldToStop() bool {
	if os.Getpid() != 1 {
		m.service.caught.LetStopKill(m.options.signals())
	}
	return m.told.atOnce || m.service.caught.StopSignal() != nil
}
