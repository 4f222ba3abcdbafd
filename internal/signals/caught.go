package signals

import (
	"os"
	"os/signal"
	"slices"

	"github.com/heirloom-go/heirloom/internal/profile"
)

// Meanings are the signals that mean something to a service. Of a signal in
// several lists, reload comes before stop, and stacks before profiles.
type Meanings struct {
	Reload, Stop, Stacks, Profiles []os.Signal
}

// roomForStops is how many signals to stop may wait. The first stops the
// service, the second ends it at once, and one more may be systemd's when the
// predecessor has ended: more of them say nothing new.
const roomForStops = 8

// Caught holds signals until the service acts on them.
//
// Package signal drops a signal whose channel is full. So each meaning has a
// channel of its own, with as much room as makes a drop harmless: what was
// dropped says nothing that those which wait do not say already. No number of
// signals of one meaning keeps out one of another.
type Caught struct {
	Stop     chan os.Signal // to be looked at before anything else
	Reload   chan os.Signal // room for one: a reload that was not begun serves all who asked
	Stacks   chan os.Signal // room for one, likewise
	Profiles chan os.Signal // as many as a Profiler lets wait
}

// Catch catches the signals of m from now on. The caller releases them.
func Catch(m Meanings) Caught {
	c := Caught{
		Stop:     make(chan os.Signal, roomForStops),
		Reload:   make(chan os.Signal, 1),
		Stacks:   make(chan os.Signal, 1),
		Profiles: make(chan os.Signal, profile.MaxWaiting),
	}
	notifySignals(c.Stop, m.OnlyStop())
	notifySignals(c.Reload, m.Reload)
	notifySignals(c.Stacks, m.Stacks)
	notifySignals(c.Profiles, without(m.Profiles, m.Stacks))
	return c
}

// WithDefaults sets the lists that are nil to the default ones, less the
// signals that were chosen for something else. Profiles have no default.
func (m Meanings) WithDefaults() Meanings {
	chosen := slices.Concat(m.Reload, m.Stop, m.Stacks, m.Profiles)
	unless := func(signals, defaults []os.Signal) []os.Signal {
		if signals != nil {
			return signals
		}
		return without(defaults, chosen)
	}
	return Meanings{
		Reload:   unless(m.Reload, defaultReload),
		Stop:     unless(m.Stop, defaultStop),
		Stacks:   unless(m.Stacks, defaultStacks),
		Profiles: m.Profiles,
	}
}

// Harmless returns those that must not end a program that does not catch them
// yet.
func (m Meanings) Harmless() []os.Signal {
	return slices.Concat(m.Reload, m.Stacks, m.Profiles)
}

// OnlyStop returns those that stop the service and mean nothing else.
func (m Meanings) OnlyStop() []os.Signal { return without(m.Stop, m.Reload) }

// notifySignals has signals sent to c. It exists because signal.Notify takes
// none for all.
func notifySignals(c chan<- os.Signal, lists ...[]os.Signal) {
	if all := slices.Concat(lists...); len(all) > 0 {
		signal.Notify(c, all...)
	}
}

func without(signals, others []os.Signal) []os.Signal {
	return slices.DeleteFunc(slices.Clone(signals), func(sig os.Signal) bool { return slices.Contains(others, sig) })
}

// Release catches them no longer.
func (c Caught) Release() {
	for _, signals := range []chan os.Signal{c.Stop, c.Reload, c.Stacks, c.Profiles} {
		signal.Stop(signals)
	}
}

// StopSignal returns a signal to stop that waits, nil if there is none. Those
// that package signal has by now, and has not delivered, count.
func (c Caught) StopSignal() os.Signal {
	settle()
	select {
	case sig := <-c.Stop:
		return sig
	default:
		return nil
	}
}

// LetStopKill has the signals that only stop the service end the process from
// now on, even if the program asked package signal for them as well: to what it
// would do about them execve(2) leaves no time. Those that have come by then
// wait in c.
func (c Caught) LetStopKill(m Meanings) {
	signals := m.OnlyStop()
	if len(signals) == 0 {
		return // signal.Reset would take none for all
	}
	setDefault(signals)      // so that none comes in between for others alone
	signal.Stop(c.Stop)      // which waits until those on their way are here
	signal.Reset(signals...) // those ignored at the start are again
}
