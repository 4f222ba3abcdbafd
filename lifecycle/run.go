package lifecycle

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
)

// Run serves until the service is replaced, or is told to stop by a signal or
// the end of ctx. It returns nil once all work in flight is done. Where the
// program is replaced in place it does not return. If a server or worker cannot
// go on, Run drains the others and returns its error. An error matches
// [ErrDrainTimeout] if work had to be cut, [ErrReload] if the successor that
// took over ended before this process did, and [ErrRunning] if Run was called
// before.
//
// Work is what a handler does for a request, a stream or a hijacked connection,
// and what a worker or a server of another kind does. At the deadline of the
// drain, a request whose client has not sent all of it, or does not read the
// response, is closed and logged, and is not an error. Neither is an idle
// connection.
//
// The process should exit when Run returns. The signals of Options do nothing
// from then on.
//
// Run reports that the service is ready: to the service manager, or to the
// predecessor, which then hands over. So call it last in main. Sockets and
// state that were handed over and not asked for are closed then.
func (s *Service) Run(ctx context.Context) error {
	if err := s.checkBeforeReady(ctx); err != nil {
		return err
	}
	if err := s.startFrameworks(ctx); err != nil {
		return err
	}
	defer s.endFrameworks()
	if err := s.begin(); err != nil {
		return err
	}
	m := newMainLoop(s)
	m.start()
	m.background.Go(func() { m.relay(ctx) })
	m.run()
	m.unwatch()
	m.leave()
	m.end()
	if m.inPlace != nil {
		m.err = errors.Join(m.err, m.replace(ctx))
	}
	return m.err
}

func (s *Service) begin() error {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	if s.registered.closed {
		return ErrRunning
	}
	warnOfDroppedUser(s.startedAs, s.log)
	if err := s.openControl(); err != nil {
		return s.Fail(err)
	}
	if s.registered.hooks.AnyEarly() {
		s.conns.WatchSpared()
	}
	if s.registered.answersLost {
		s.conns.CountWritten()
	}
	if err := s.registered.prepare(); err != nil {
		return s.Fail(err)
	}
	s.registered.closed = true
	s.registered.receiver = s.registered.newReceiver(s.log)
	return nil
}

// warnOfDroppedUser warns of a change of user between New, where it was user
// was, and Run. A successor is this process's child and starts as the user of
// now, whereas the daemon expects to start as the user that systemd sets.
func warnOfDroppedUser(was int, log hclog.Logger) {
	if now := os.Geteuid(); now != was {
		log.Warn("the process changed its user before Run: successors start as that user, "+
			"and the control socket may have no directory it can write to; use User= instead", "from", was, "to", now)
	}
}
