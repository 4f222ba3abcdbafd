package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A reloadRequest asks for a reload. answer, which may be nil, is called once, from the goroutine that owns the state.
type reloadRequest struct {
	answer func(handover.Outcome)
	from   *ancestor // that passed it on
	dryRun bool
}

// areDryRuns reports whether nothing is to be replaced for these requests.
func areDryRuns(requests []reloadRequest) bool {
	return !slices.ContainsFunc(requests, func(r reloadRequest) bool { return !r.dryRun })
}

// An attempt is a reload under way: a successor from its start until it serves, or is given up.
type attempt struct {
	started time.Time
	cancel  context.CancelFunc
	result  chan attemptResult // room for one
}

type attemptResult struct {
	heir *heir // nil if there is an error, or after a dry run
	err  error
}

// startAttempt starts a successor and leaves it to a goroutine to wait until it serves, or could.
func (s *Service) startAttempt(dryRun bool) *attempt {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.options.ReloadTimeout,
		fmt.Errorf("the successor was not ready within %v", s.options.ReloadTimeout))
	a := &attempt{started: time.Now(), cancel: cancel, result: make(chan attemptResult, 1)}
	go func() {
		defer cancel()
		h, err := s.raise(ctx, dryRun)
		a.result <- attemptResult{h, err}
	}()
	return a
}

// raise starts a successor and returns it once it serves. One that failed, or that was for a dry run, has ended when raise returns.
func (s *Service) raise(ctx context.Context, dryRun bool) (*heir, error) {
	conn, theirs, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	p, err := s.startSuccessor(conn, theirs, dryRun)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	defer p.release()
	s.atStep("started")
	s.log.Debug("started the successor", "pid", p.pid, "program", s.program)
	ready, err := s.shakeHands(ctx, conn, p, dryRun)
	if err != nil || dryRun {
		p.kill()
		_ = conn.Close()
		return nil, err
	}
	ready.PID, ready.Generation = p.pid, s.generation+1
	return newHeir(conn, ready, s.takeBack), nil
}

// startSuccessor starts the program with every listener and theirs, which it closes here, as its handover socket.
func (s *Service) startSuccessor(conn *handover.Conn, theirs int, dryRun bool) (*process, error) {
	names := []string{activation.HandoverName}
	fds := []int{theirs}
	defer func() { closeDescriptors(fds) }()
	heirlooms, heirloomNames, err := s.collect()
	if err != nil {
		return nil, err
	}
	elders, err := s.elders.handDown()
	if err != nil {
		return nil, fmt.Errorf("tell the successor of older generations: %w", err)
	}
	defer elders.closeFiles()
	heirlooms, heirloomNames = append(heirlooms, elders), append(heirloomNames, eldersName)
	listeners, listenerNames, err := s.duplicateListeners()
	fds, names = append(fds, listeners...), append(names, listenerNames...)
	if err != nil {
		return nil, err
	}
	env, err := activation.Environ(os.Environ(), os.Getpid(), names)
	if err != nil {
		return nil, err
	}
	m := s.inheritance()
	m.Count, m.DryRun = len(heirlooms), dryRun
	if err := conn.Send(m); err != nil {
		return nil, err
	}
	p, err := startProcess(s.program, s.args(), env, fds, s.notifier != nil)
	if err != nil {
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(s.options.ReloadTimeout)) // it may read slowly, or not at all
	for i, h := range heirlooms {
		if err := h.send(heirloomNames[i], conn.Send); err != nil {
			s.log.Warn("the successor does not take what it is handed down", "error", err)
			break // it is dead or stuck, which shows soon enough
		}
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return p, nil
}

// inheritance says to the next process what this one is.
func (s *Service) inheritance() handover.Message {
	m := handover.Message{
		Type:       handover.Inheritance,
		Protocol:   handover.Protocol,
		MinReader:  handover.MinProtocol,
		PID:        os.Getpid(),
		Generation: s.generation,
	}
	for _, l := range s.listeners {
		if l.bound != nil {
			m.Bound = append(m.Bound, *l.bound)
		}
	}
	return m
}

// duplicateListeners returns duplicates of all listeners, which the caller owns also when there is an error.
func (s *Service) duplicateListeners() (fds []int, names []string, err error) {
	for _, l := range s.listeners {
		fd, err := duplicate(l.socket)
		if err != nil {
			return fds, names, fmt.Errorf("hand over listener %q: %w", l.name, err)
		}
		fds, names = append(fds, fd), append(names, l.name)
	}
	return fds, names, nil
}

// shakeHands waits until the successor is ready, lets it accept connections, and waits until it does.
//
// It accepts none before: a successor that dies on the way must not take a connection with it. In a dry run it never does.
func (s *Service) shakeHands(ctx context.Context, conn *handover.Conn, p *process, dryRun bool) (handover.Message, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(longAgo) })
	defer stop()
	ready, err := await(ctx, conn, handover.Ready)
	if err == nil {
		s.atStep("ready")
		if !stop() { // the time was over just now
			return ready, context.Cause(ctx)
		}
		if !dryRun {
			err = s.letServe(ctx, conn)
		}
	}
	if errors.Is(err, io.EOF) {
		return ready, s.obituary(p)
	}
	return ready, err
}

// letServe lets the successor accept connections, and waits until it does. Called off now, it would take with it what it has
// accepted and read; so it gets some more time when ctx ends, to say that it serves.
func (s *Service) letServe(ctx context.Context, conn *handover.Conn) error {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	})
	err := conn.Send(handover.Message{Type: handover.Go})
	if err == nil {
		s.atStep("go")
		_, err = await(ctx, conn, handover.Serving)
	}
	if !stop() {
		<-over
		_ = conn.SetReadDeadline(time.Time{})
	}
	return err
}

// await receives until a message of type want comes.
func await(ctx context.Context, conn *handover.Conn, want handover.Type) (handover.Message, error) {
	for {
		m, fds, err := conn.Receive()
		closeDescriptors(fds)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return m, context.Cause(ctx)
		case err != nil:
			return m, err
		case m.Type == handover.Failed:
			return m, errors.New(m.Reason)
		case m.Type == want && want == handover.Ready && m.Protocol < handover.MinProtocol:
			return m, fmt.Errorf("the successor speaks handover protocol %d, this process %d and newer", m.Protocol, handover.MinProtocol)
		case m.Type == want:
			return m, nil
		}
	}
}

// obituary says how a successor ended that closed the handover socket.
func (s *Service) obituary(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	how, err := p.wait(ctx)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s closed the handover socket: it is no heirloom program, or has not called lifecycle.New", s.program)
	case how != "":
		return fmt.Errorf("the successor (pid %d) ended before it was ready: %s", p.pid, how)
	case os.Getenv("JOURNAL_STREAM") != "": // systemd.exec(5): standard output or error goes there
		return fmt.Errorf("the successor (pid %d) ended before it was ready; see journalctl _PID=%d", p.pid, p.pid)
	default:
		return fmt.Errorf("the successor (pid %d) ended before it was ready", p.pid)
	}
}
