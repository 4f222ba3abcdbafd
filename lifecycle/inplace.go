package lifecycle

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/inplace"
)

// An inPlace is the program that is about to replace this one in this process, and what it is to be given.
type inPlace struct {
	program   *inplace.Program
	queue     *queue
	ends      []int // of the queue's sockets, to be read
	listeners []int
	names     []string // of the listeners
	outcome   handover.Outcome
}

func (s *Service) replacesInPlace() bool {
	switch s.options.Replace {
	case Beside:
		return false
	case InPlace:
		return true
	default:
		return s.notifier == nil || os.Getpid() == 1
	}
}

// beginInPlace drains so that the program can be replaced. From here on nothing can fail that would leave the clients to
// nobody: if the new program cannot be executed after all, the old one is.
func (m *machine) beginInPlace() {
	p, err := m.prepareInPlace()
	if err != nil {
		p.outcome.Reason = err.Error()
		p.outcome.Duration = time.Since(p.outcome.At)
		p.discard()
		m.reloadFailed(p.outcome)
		return
	}
	m.inPlace = p
	m.replaced.Store(true)
	m.answer(m.waiting, handover.Outcome{InPlace: true, Generation: m.generation, PID: os.Getpid()})
	m.waiting = nil
	m.leaveTo(p.queue)
	m.drain()
}

func (m *machine) prepareInPlace() (*inPlace, error) {
	p := &inPlace{outcome: handover.Outcome{At: time.Now(), Generation: m.generation, PID: os.Getpid()}}
	var err error
	if p.program, err = inplace.Open(m.program); err != nil {
		return p, err
	}
	if p.listeners, p.names, err = m.duplicateListeners(); err != nil {
		return p, err
	}
	p.queue, err = newQueue(m.inheritance(), p.keep, m.Service)
	return p, err
}

func (p *inPlace) keep(end int) error {
	p.ends = append(p.ends, end)
	return nil
}

func (p *inPlace) discard() {
	closeDescriptors(p.listeners)
	closeDescriptors(p.ends)
	if p.program != nil {
		_ = p.program.Close()
	}
	if p.queue != nil {
		p.queue.close()
	}
}

// abandonInPlace takes back what was queued, for this process is told to stop after all.
func (m *machine) abandonInPlace() {
	p := m.inPlace
	m.inPlace = nil
	m.replaced.Store(false)
	m.drainBegan, m.budget = time.Time{}, budget{} // the service manager counts from now
	m.taker.Store(nil)
	p.queue.lose()
	p.queue.close()
	for _, end := range p.ends {
		conn, err := handover.FromDescriptor(end)
		if err != nil {
			m.log.Error("cannot take back connections", "error", err)
			continue
		}
		e := &estate{conn: conn, generation: m.generation}
		m.settling++
		m.workers.Go(func() { m.settleOne(e) })
	}
	p.ends = nil
	p.discard()
	m.restartLinger()
}

// replace replaces the program, and returns only if that is impossible.
//
// A signal on its way, to reload say, must not kill the new program before it can catch it; and need not be kept, since what asked for
// it is older than the new program. Ignored signals stay ignored across execve(2).
func (m *machine) replace() error {
	p := m.inPlace
	defer p.discard()
	names := []string{activation.HandoverName}
	for range p.ends[1:] {
		names = append(names, storedName(m.generation))
	}
	names = append(names, p.names...)
	environ, err := activation.Environ(os.Environ(), os.Getpid(), names)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReload, err)
	}
	m.atStep("replace")
	m.log.Info("replacing the program", "program", m.program)
	ignoreSignals(m.options.harmlessSignals())
	err = p.program.Exec(m.args(), slices.Concat(p.ends, p.listeners), func(reason error) []string {
		m.sayLast(reason)
		return environ
	})
	return fmt.Errorf("%w: %w", ErrReload, err)
}

// sayLast tells the new program how it came about, and that the service was told to stop if it was just now.
func (m *machine) sayLast(reason error) {
	p := m.inPlace
	p.outcome.Generation = m.generation + 1
	p.outcome.Duration = time.Since(p.outcome.At)
	if reason != nil {
		p.outcome.Reason = reason.Error()
	}
	last := []handover.Message{{Type: handover.Main, Outcome: &p.outcome}}
	if m.toldToStop() {
		last = append(last, handover.Message{Type: handover.Stop})
	}
	for _, msg := range last {
		err := p.queue.send(func(send func(handover.Message, ...int) error) error { return send(msg) })
		if err != nil {
			m.log.Warn("cannot tell the new program", "message", msg.Type, "error", err)
		}
	}
}

// toldToStop reports whether a signal to stop came after the last look at signals. One that comes later ends the process, as
// it was to. But the kernel drops for PID 1 what that does not catch, so there the signals stay caught to the end.
func (m *machine) toldToStop() bool {
	if os.Getpid() != 1 {
		signal.Stop(m.signals)
	}
	for {
		select {
		case sig := <-m.signals:
			if slices.Contains(m.options.StopSignals, sig) {
				return true
			}
		default:
			return false
		}
	}
}
