package lifecycle

import (
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/notify"
)

// minBeat keeps an absurd WatchdogSec= from taking the processor for itself.
const minBeat = time.Millisecond

// A watchdog is what the service manager expects of its main process: a sign of life, WATCHDOG=1, within each WatchdogSec=.
// That of other processes it ignores, and complains of in the journal.
//
// The sign is given twice in that time, from the goroutine that owns the state: if that is stuck it fails to come as well.
type watchdog struct {
	beat     time.Duration // between two signs; 0 if none are expected
	timer    *time.Timer
	due      time.Time // the next sign, while a check runs that decides about it
	checking bool
	checked  chan error
	ill      bool // the last check failed
	gaveUp   bool // the service manager was told to kill this process
}

func newWatchdog(interval time.Duration) watchdog {
	w := watchdog{timer: stoppedTimer(), checked: make(chan error)}
	if interval > 0 {
		w.beat = max(interval/2, minBeat)
	}
	return w
}

// watch begins to give signs of life. The first is given at once: the predecessor's last may be half of the interval ago.
func (m *machine) watch() {
	if m.watchdog.beat > 0 {
		m.tell(notify.Watchdog())
		m.watchdog.timer.Reset(m.watchdog.beat)
	}
}

// hurryWatchdog gives a sign now, if any is still to be given.
func (m *machine) hurryWatchdog() {
	if m.watchdog.beat > 0 {
		m.watchdog.timer.Reset(0)
	}
}

// isWatched reports whether this is the main process to the service manager.
func (m *machine) isWatched() bool {
	return m.heir == nil && m.state != Starting && m.state != Gone
}

// onBeat gives a sign of life, or has a check decide. On its way out a service is not checked any more: what the check looks at
// may be closed by then, the drain ends by itself, and nothing is gained if it is killed before.
func (m *machine) onBeat() {
	w := &m.watchdog
	switch {
	case !m.isWatched():
	case m.options.Health == nil || m.draining.Load():
		m.tell(notify.Watchdog())
		w.timer.Reset(w.beat)
	case !w.checking:
		w.checking, w.due = true, time.Now().Add(w.beat)
		m.workers.Go(func() {
			err := m.health.ask(m.alive, w.beat)
			select {
			case w.checked <- err:
			case <-m.gone:
			}
		})
	}
}

// onChecked gives a sign of life if the check passed.
func (m *machine) onChecked(err error) {
	w := &m.watchdog
	w.checking = false
	if !m.isWatched() || m.draining.Load() {
		return
	}
	switch {
	case err != nil && !w.ill:
		m.log.Error("the health check fails: the watchdog gets no sign of life until it passes", "error", err)
	case err == nil && w.ill:
		m.log.Info("the health check passes again")
	}
	if w.ill = err != nil; !w.ill {
		m.tell(notify.Watchdog())
	}
	w.timer.Reset(time.Until(w.due))
}

// onDead has the service manager kill and restart this process, if it is the one that serves.
func (m *machine) onDead(err error) {
	if m.notifier == nil || m.watchdog.gaveUp || !m.isWatched() || m.draining.Load() {
		return
	}
	m.watchdog.gaveUp = true
	m.log.Error("the health check says that this process is dead: asking to be killed", "error", err)
	m.tell(notify.WatchdogTrigger())
}

// unwatch is the last that the watchdog hears of this program. A new one in its place is given time to start. The end of a stop is
// bounded by TimeoutStopSec=, and main may have something left to do after Run.
func (m *machine) unwatch() {
	switch {
	case m.watchdog.beat == 0 || m.heir != nil:
	case m.inPlace != nil:
		m.tell(notify.Watchdog())
		m.tell(notify.ExtendTimeout(m.options.ReloadTimeout)) // after the sign, which would take it back
	case m.stopping:
		m.tell(notify.WatchdogUsec(0)) // until the next process is started
	}
}

// watchdogInterval returns 0 where there is no watchdog, or no service manager to whom it could belong.
func (s *Service) watchdogInterval() (time.Duration, error) {
	if s.notifier == nil {
		return 0, nil
	}
	interval, err := notify.WatchdogInterval()
	if err != nil {
		return 0, errors.Join(err, s.notifier.Close())
	}
	return interval, nil
}
