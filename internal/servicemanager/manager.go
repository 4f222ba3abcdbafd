package servicemanager

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/notify"
)

// A Manager is the program that listens on NOTIFY_SOCKET. Goroutines may share
// it. What it is told goes out in the order of the calls.
type Manager struct {
	notifier      *notify.Notifier // nil if there is none
	outbox        outbox
	following     following
	newProcess    bool          // see Config
	watchdogEvery time.Duration // WatchdogSec=, 0 if there is none
	log           hclog.Logger
}

// A Config is what a Manager needs to know of this process.
type Config struct {
	// NewProcess says that only a process alongside this one may replace it.
	NewProcess bool
	// HasPredecessor says that this process was started alongside another one.
	HasPredecessor bool
	Log            hclog.Logger
}

// Meet finds out from the environment who listens, and logs what follows from
// it. The caller closes the Manager. Errors are those of [notify.New] and
// [notify.WatchdogInterval]; without NOTIFY_SOCKET there is none.
func Meet(c Config) (*Manager, error) {
	m := &Manager{newProcess: c.NewProcess, log: c.Log}
	var err error
	m.notifier, err = notify.New()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	m.meet(c)
	m.outbox.deliver = m.deliver
	if m.watchdogEvery, err = m.watchdogInterval(); err != nil {
		return nil, errors.Join(err, m.notifier.Close())
	}
	return m, nil
}

func (m *Manager) meet(c Config) {
	m.following = findFollowing(m.notifier != nil, c.HasPredecessor)
	if m.notifier != nil && isNoSocket(os.Getenv("NOTIFY_SOCKET")) {
		_ = m.notifier.Close() // each message would fail
		m.notifier = nil
	}
	switch {
	case m.following.none || m.following.yes:
	case c.NewProcess:
		m.log.Warn("reloads will be refused: the service manager does not follow another main process, or that cannot be known",
			"reason", m.following.why)
	default:
		m.log.Info("reloads replace the program in place", "reason", m.following.why)
	}
}

// Exists reports whether there is anybody to tell.
func (m *Manager) Exists() bool { return m.notifier != nil }

// Follows reports whether the service manager makes another process the main
// one when it is told to.
func (m *Manager) Follows() bool { return m.following.yes }

// WatchdogEvery returns WatchdogSec=: within each such time the main process is
// to give a sign of life. It is 0 where no watchdog looks at this process.
func (m *Manager) WatchdogEvery() time.Duration { return m.watchdogEvery }

// RefuseNewProcess says why this process must not be replaced by one beside it,
// where only such a one may replace it. The successor would serve, and then
// whoever waits for this process would restart it, or take the service for
// ended.
func (m *Manager) RefuseNewProcess() error {
	if !m.newProcess || m.following.none || m.following.yes {
		return nil
	}
	return fmt.Errorf("cannot be replaced by a process beside it, which Options.ReloadMode asks for: %s; "+
		"Options.ReloadMode = Auto would replace the program in place", m.following.why)
}

// SameProcess adds to the environment of a program in this process what is as
// true of it as it was of this one.
func (m *Manager) SameProcess(environ []string) []string {
	if m.notifier == nil || !m.following.yes {
		return environ
	}
	return append(environ, execPID+"="+strconv.Itoa(os.Getpid()))
}

// watchdogInterval returns 0 where there is no watchdog for this process, or no
// service manager to whom it could belong.
func (m *Manager) watchdogInterval() (time.Duration, error) {
	if m.notifier == nil {
		return 0, nil
	}
	interval, err := notify.WatchdogInterval()
	if err != nil {
		return 0, err
	}
	if usec := os.Getenv("WATCHDOG_USEC"); interval == 0 && usec != "" {
		m.log.Info("no watchdog: WATCHDOG_PID is another process", "WATCHDOG_PID", os.Getenv("WATCHDOG_PID"),
			"pid", os.Getpid(), "WATCHDOG_USEC", usec)
	}
	return interval, nil
}
