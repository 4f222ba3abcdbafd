package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// The crowd of clients.
const (
	keepAliveClients = 50
	otherClients     = 2                    // of every other class
	thinkTime        = 3 * time.Millisecond // of each, so that a reload finds requests under way
	slowFor          = 300 * time.Millisecond
)

// A way is how a reload replaces the program.
type way struct {
	name    string
	about   string
	managed bool // there is a service manager, as far as the service can tell
}

var (
	beside  = way{"beside", "each next process starts beside the old one, as under systemd", true}
	inPlace = way{"in place", "one process runs the program anew, as in a container; clients wait", false}
)

// A stage is where an act is performed.
type stage struct {
	way
	*show.Act
	options options
	service *service
	load    *loadtest.Run
	out     *show.Screen
}

// perform starts the service, puts it under load, reloads it, and stops it. The
// act is nil if there was no load.
func perform(ctx context.Context, w way, o options, program, dir string, out *show.Screen) (*show.Act, error) {
	s, err := startService(program, dir, w.managed)
	if err != nil {
		return nil, err
	}
	st := &stage{way: w, options: o, service: s, out: out}
	err = s.waitServing(ctx)
	if err == nil {
		err = st.underLoad(ctx)
	}
	err = errors.Join(err, s.end(out, err))
	if st.Act != nil {
		out.Say("\n%v\n", st.Report())
	}
	return st.Act, err
}

// underLoad lets the clients loose, reloads, and judges what they met.
func (s *stage) underLoad(ctx context.Context) error {
	crowd := loadtest.OfEach(otherClients)
	crowd[loadtest.KeepAlive] = keepAliveClients
	s.out.Say("%s: %s", s.name, s.about)
	s.out.Say("serving on %s; %d keep-alive clients and %d of each of %d other kinds begin to ask",
		s.service.address, keepAliveClients, otherClients, len(crowd)-1)
	s.Act = show.NewAct(s.name, s.about, "reload")
	target := loadtest.Target{Address: s.service.address, ThinkTime: thinkTime, SlowFor: slowFor, Observe: s.Observe}
	s.load = loadtest.Start(target, crowd)
	unwatch := s.out.Watch(s.name, "reload", s.options.reloads, s.load.Snapshot)
	err := s.reloadAll(ctx)
	status, statusErr := "", error(nil)
	if err == nil {
		status, statusErr = s.service.command("status")
	}
	report := s.load.Stop()
	unwatch()
	if status != "" {
		s.out.Say("%s", strings.TrimSpace(status))
	}
	s.Close(report)
	if report.Broken > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d requests are broken", report.Broken, report.Requests))
	}
	return errors.Join(err, statusErr)
}

func (s *stage) reloadAll(ctx context.Context) error {
	for n := range s.options.reloads {
		select {
		case <-time.After(s.options.pause):
		case <-ctx.Done():
			return fmt.Errorf("interrupted after %d of %d reloads: %w", n, s.options.reloads, context.Cause(ctx))
		}
		if err := s.reload(n + 1); err != nil {
			return fmt.Errorf("reload %d: %w", n+1, err)
		}
	}
	// What comes after the last reload is to be seen as well.
	select {
	case <-time.After(s.options.pause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted after all of %d reloads: %w", s.options.reloads, context.Cause(ctx))
	}
}

// reload reloads and waits until the new generation has answered a request. It
// takes milliseconds and is not interrupted, so that an interrupted demo can
// still tell whether a request broke.
func (s *stage) reload(n int) error {
	s.Replace(n + 1)
	said, err := s.service.command("reload")
	if err != nil {
		return err
	}
	s.out.Replaced(n, strings.TrimSpace(said))
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	return s.load.WaitGeneration(ctx, n+1)
}
