package lifecycle

import (
	"os"
	"os/signal"
	"slices"
)

// withSignals sets the signals that were not chosen to the default ones, less those that were chosen for something else.
func (o Options) withSignals() Options {
	chosen := o.allSignals()
	unless := func(signals, defaults []os.Signal) []os.Signal {
		if signals != nil {
			return signals
		}
		return slices.DeleteFunc(slices.Clone(defaults), func(sig os.Signal) bool { return slices.Contains(chosen, sig) })
	}
	o.ReloadSignals = unless(o.ReloadSignals, defaultReloadSignals)
	o.StopSignals = unless(o.StopSignals, defaultStopSignals)
	o.StackSignals = unless(o.StackSignals, defaultStackSignals)
	return o
}

func (o Options) allSignals() []os.Signal {
	return slices.Concat(o.ReloadSignals, o.StopSignals, o.StackSignals, o.ProfileSignals)
}

// harmlessSignals are those that must not end a program that does not catch them yet.
func (o Options) harmlessSignals() []os.Signal {
	return slices.Concat(o.ReloadSignals, o.StackSignals, o.ProfileSignals)
}

// notifySignals has signals sent to c. It exists because signal.Notify takes none for all.
func notifySignals(c chan<- os.Signal, lists ...[]os.Signal) {
	if all := slices.Concat(lists...); len(all) > 0 {
		signal.Notify(c, all...)
	}
}

// onToolSignal does what a signal of StackSignals or ProfileSignals asks for. Goroutines of their own do it, since what they write may
// take its time; and few of them, however many signals come.
func (m *machine) onToolSignal(sig os.Signal) {
	m.log.Debug("signal", "signal", sig)
	switch {
	case slices.Contains(m.options.StackSignals, sig):
		if m.logging.CompareAndSwap(false, true) {
			m.workers.Go(func() {
				defer m.logging.Store(false)
				m.log.Info("stacks of all goroutines", "stacks", stacks())
			})
		}
	case m.profiler.busy.Add(1) > maxToggles:
		m.profiler.busy.Add(-1)
		m.log.Warn("a profile is still being written", "ignored", sig)
	default:
		m.workers.Go(func() {
			defer m.profiler.busy.Add(-1)
			m.profiler.toggle()
		})
	}
}
