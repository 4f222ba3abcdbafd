package health

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/notify"
)

// minBeat keeps an absurd WatchdogSec= from taking the processor for itself.
const minBeat = time.Millisecond

// A Watchdog is what the service manager expects of its main process: a sign of
// life, WATCHDOG=1, within each WatchdogSec=. It ignores that of other
// processes, and complains of it in the journal.
//
// The sign is given twice in that time, from the goroutine that owns the state,
// to which a Watchdog belongs: if that is stuck it fails to come as well.
type Watchdog struct {
	manager Manager
	check   *Check
	log     hclog.Logger
	config  WatchdogConfig

	beat     time.Duration // between two signs; 0 if none are expected
	timer    *time.Timer
	due      time.Time // the next sign, while a check runs that decides about it
	checking bool
	ill      bool // the last check failed
	gaveUp   bool // the service manager was told to kill this process
}

// A Manager is the service manager, which has the watchdog.
type Manager interface {
	Exists() bool
	WatchdogEvery() time.Duration // 0 if there is no watchdog
	// Post and Say tell it, and do not wait.
	Post(states ...notify.State)
	Say(subject servicemanager.Subject, states ...notify.State)
}

// A WatchdogConfig is what a Watchdog knows of its owner.
type WatchdogConfig struct {
	// Aside runs f in another goroutine, until alive ends, and has the owner's
	// goroutine call the function that f returns.
	Aside func(f func(alive context.Context) (happened func()))
	// Stands says whether this process is the main one, and whether it drains
	// or is about to.
	Stands func() (watched, ending bool)
}

// NewWatchdog makes a Watchdog, which gives no sign before Start.
func NewWatchdog(manager Manager, check *Check, config WatchdogConfig, log hclog.Logger) *Watchdog {
	w := &Watchdog{manager: manager, check: check, config: config, log: log, timer: time.NewTimer(0)}
	if !w.timer.Stop() {
		<-w.timer.C
	}
	if interval := manager.WatchdogEvery(); interval > 0 {
		w.beat = max(interval/2, minBeat)
	}
	return w
}

// IsOn reports whether the service manager expects signs of life.
func (w *Watchdog) IsOn() bool { return w.beat > 0 }

// Expired receives when a sign is due: then call OnBeat.
func (w *Watchdog) Expired() <-chan time.Time { return w.timer.C }

// Again has Expired receive when the next sign is due.
func (w *Watchdog) Again() { w.timer.Reset(w.beat) }

// Start begins to give signs of life. The first is given at once: the
// predecessor's last may be half of the interval ago.
func (w *Watchdog) Start() {
	if w.beat > 0 {
		w.manager.Say(servicemanager.SignOfLife, notify.Watchdog())
		w.Again()
	}
}

// Hurry gives a sign now, if any is still to be given.
func (w *Watchdog) Hurry() {
	if w.beat > 0 {
		w.timer.Reset(0)
	}
}

// OnBeat gives a sign of life, or has a check decide. On its way out a service
// is not checked any more: what the check looks at may be closed by then, the
// drain ends by itself, and nothing is gained if it is killed before.
func (w *Watchdog) OnBeat() {
	watched, ending := w.config.Stands()
	switch {
	case !watched:
	case w.check.check == nil || ending:
		w.manager.Say(servicemanager.SignOfLife, notify.Watchdog())
		w.Again()
	case !w.checking:
		w.checking, w.due = true, time.Now().Add(w.beat)
		w.config.Aside(func(alive context.Context) func() {
			err := w.check.Ask(alive, w.beat)
			return func() { w.onChecked(err) }
		})
	}
}

// onChecked gives a sign of life if the check passed.
func (w *Watchdog) onChecked(err error) {
	w.checking = false
	if watched, ending := w.config.Stands(); !watched || ending {
		return
	}
	switch {
	case err != nil && !w.ill:
		w.log.Error("the health check fails: the watchdog gets no sign of life until it passes", "error", err)
	case err == nil && w.ill:
		w.log.Info("the health check passes again")
	}
	next := time.Until(w.due)
	if w.ill = err != nil; w.ill {
		// The last sign was given half of the interval ago. The next check in
		// turn would end when the interval is over, and it would be a matter of
		// luck whether a process that is well again is killed.
		next = min(next, w.beat/4)
	} else {
		w.manager.Say(servicemanager.SignOfLife, notify.Watchdog())
	}
	w.timer.Reset(next)
}

// OnDead has the service manager kill and restart this process, if it is the
// one that serves.
func (w *Watchdog) OnDead(err error) {
	watched, ending := w.config.Stands()
	if !w.manager.Exists() || w.gaveUp || !watched || ending {
		return
	}
	w.gaveUp = true
	w.log.Error("the health check says that this process is dead: asking to be killed", "error", err)
	w.manager.Post(notify.WatchdogTrigger())
}
