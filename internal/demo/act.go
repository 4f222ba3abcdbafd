package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/loadtest"
)

// The crowd of clients.
const (
	keepAliveClients = 50
	otherClients     = 2 // of every other class
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

// An act is what happened to one service that was reloaded in one way. Times count from its beginning.
type act struct {
	way
	report  loadtest.Report
	answers []answer
	reloads []reload
}

// An answer is a request that came to its end.
type answer struct {
	at, took   time.Duration
	generation int  // 0 if broken
	slow       bool // asked for only after slowFor
	broken     int  // requests; 0 for a right answer
}

// A reload begins with the command, and ends with the first answer of the generation that it brings.
type reload struct {
	generation   int
	began, ended time.Duration
}

// A stage is where an act is performed.
type stage struct {
	*act
	options options
	service *service
	load    *loadtest.Run
	out     *screen
	began   time.Time
	mu      sync.Mutex // guards act.answers while load runs
}

// perform starts the service, puts it under load, reloads it, and stops it. The act is nil if there was no load.
func perform(ctx context.Context, w way, o options, program, dir string, out *screen) (*act, error) {
	s, err := startService(program, dir, w.managed)
	if err != nil {
		return nil, err
	}
	st := &stage{options: o, service: s, out: out}
	err = s.waitServing(ctx)
	if err == nil {
		st.act = &act{way: w}
		err = st.underLoad(ctx)
	}
	err = errors.Join(err, s.end(out, err))
	if st.act != nil {
		out.say("\n%v\n", st.report)
	}
	return st.act, err
}

// underLoad lets the clients loose, reloads, and judges what they met.
func (s *stage) underLoad(ctx context.Context) error {
	crowd := loadtest.OfEach(otherClients)
	crowd[loadtest.KeepAlive] = keepAliveClients
	s.out.say("%s: %s", s.name, s.about)
	s.out.say("serving on %s; %d keep-alive clients and %d of each of %d other kinds begin to ask",
		s.service.address, keepAliveClients, otherClients, len(crowd)-1)
	s.answers = make([]answer, 0, 1<<18) // more than a second's worth of copying at once would show in the latency
	s.began = time.Now()
	s.load = loadtest.Start(loadtest.Target{Address: s.service.address, SlowFor: slowFor, Observe: s.observe}, crowd)
	unwatch := s.out.watch(s.name, s.options.reloads, s.load.Snapshot)
	err := s.reloadAll(ctx)
	status, statusErr := "", error(nil)
	if err == nil {
		status, statusErr = s.service.command("status")
	}
	s.report = s.load.Stop()
	unwatch()
	if status != "" {
		s.out.say("%s", strings.TrimSpace(status))
	}
	s.settle()
	if s.report.Broken > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d requests are broken", s.report.Broken, s.report.Requests))
	}
	return errors.Join(err, statusErr)
}

func (s *stage) observe(o loadtest.Observation) {
	a := answer{
		at:         o.At.Sub(s.began),
		took:       o.Took,
		generation: o.Generation,
		slow:       o.Class == loadtest.Slow,
		broken:     o.Broken,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, a)
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

// reload reloads and waits until the new generation has answered a request. It takes milliseconds and is not interrupted,
// so that an interrupted demo can still tell whether a request broke.
func (s *stage) reload(n int) error {
	s.reloads = append(s.reloads, reload{generation: n + 1, began: time.Since(s.began)})
	said, err := s.service.command("reload")
	if err != nil {
		return err
	}
	s.out.reloaded(n, strings.TrimSpace(said))
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	return s.load.WaitGeneration(ctx, n+1)
}

// settle finds out when the reloads ended, and drops one that did not.
func (a *act) settle() {
	first := map[int]time.Duration{}
	for _, answer := range a.answers {
		if at, ok := first[answer.generation]; !ok || answer.at < at {
			first[answer.generation] = answer.at
		}
	}
	var ended []reload
	for _, r := range a.reloads {
		if at, ok := first[r.generation]; ok {
			r.ended = at
			ended = append(ended, r)
		}
	}
	a.reloads = ended
}
