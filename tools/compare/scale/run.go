package scale

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

const (
	address = "127.0.0.1:8080" // of contenders/crowd
	service = "crowd.service"
	control = "/run/crowd/control"
)

// Options say what is measured.
type Options struct {
	Programs    []string // the paths of contenders/crowd, of one build or of several, on this host
	Connections []int
	Verbs       []string
	Secure      []bool // without TLS, and with it
	Rounds      int
	Say         func(format string, args ...any)
}

// Verbs are what can be done to a service.
func Verbs() []string { return []string{bare, reload, kill, inPlace, restart} }

const (
	bare    = "bare" // no service: see bareRound
	reload  = "reload"
	kill    = "kill -9"
	inPlace = "in place"
	restart = "restart"
)

// A stage is a machine with one crowd.
type stage struct {
	Options
	machine *sdtest.Machine
	crowd   *crowd
	secure  bool
	n       int
	program string // that is installed
	inPlace bool   // the program that runs is replaced in its process
}

// limit is how long each step may take.
const limit = time.Minute

//go:embed crowd.service
var unit string

// Measure has a service on the machine replaced, in all ways, with each crowd.
func Measure(ctx context.Context, m *sdtest.Machine, o Options) (results []*Result, err error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	m.WriteFile("/etc/systemd/system/"+service, unit, 0o644)
	m.WriteFile("/etc/crowd.pem", certificate, 0o600)
	for _, secure := range o.Secure {
		for _, n := range o.Connections {
			s := &stage{Options: o, machine: m, secure: secure, n: n}
			got, err := s.measure(ctx)
			results = append(results, got...)
			if err != nil {
				return results, fmt.Errorf("%d connections%s: %w", n, tlsText(secure), err)
			}
		}
	}
	return results, nil
}

func tlsText(secure bool) string {
	if secure {
		return " of TLS"
	}
	return ""
}

// measure has one crowd.
func (s *stage) measure(ctx context.Context) (results []*Result, err error) {
	s.configure(s.Programs[0], false)
	for _, args := range [][]string{{"daemon-reload"}, {"restart", service}} {
		if err := s.systemctl(ctx, args...); err != nil {
			return nil, err
		}
	}
	defer func() { err = errors.Join(err, s.systemctl(context.WithoutCancel(ctx), "stop", service)) }()
	s.Say("%d clients%s connect", s.n, tlsText(s.secure))
	long, cancel := patience.Context(ctx, 2*limit)
	defer cancel()
	s.crowd, err = gather(long, s.machine.Dial, s.secure, s.n)
	defer func() { s.crowd.leave() }()
	if err != nil {
		return nil, err
	}
	for round := range s.Rounds {
		for _, verb := range s.Verbs {
			if !s.can(verb) {
				continue
			}
			for _, program := range s.Programs {
				one, err := s.round(ctx, verb, program)
				if err != nil {
					return results, fmt.Errorf("%s, round %d: %w", verb, round+1, err)
				}
				results = s.add(results, verb, program, one)
				s.Say("%6d connections%s, %s: %v until the last one moved", s.n, tlsText(s.secure), verb, one.Owned.Round(time.Millisecond))
			}
		}
	}
	return results, nil
}

// mostKept is how many connections outlive their process: the ledger leaves a
// quarter of the unit's LimitNOFILE= to connections that move.
const mostKept = 20000 / 4 * 3

// can reports whether the verb can be done to this crowd. Sessions of TLS die
// with their process.
func (s *stage) can(verb string) bool {
	switch verb {
	case bare:
		return !s.secure
	case kill:
		return !s.secure && s.n <= mostKept
	default:
		return true
	}
}

// add adds a round to the result that it belongs to.
func (s *stage) add(results []*Result, verb, program string, one Round) []*Result {
	if len(s.Programs) == 1 {
		program = ""
	}
	for _, r := range results {
		if r.Verb == verb && r.Program == program {
			r.Rounds = append(r.Rounds, one)
			return results
		}
	}
	return append(results, &Result{Program: program, Verb: verb, TLS: s.secure, Connections: s.n, Rounds: []Round{one}})
}

// configure says what the next process is, and how it is to run.
func (s *stage) configure(program string, inPlace bool) {
	if s.program != program {
		s.machine.Install(program, "/usr/bin/crowd")
	}
	s.program, s.inPlace = program, inPlace
	flags := map[bool]string{true: "-tls "}[s.secure] + map[bool]string{true: "-in-place"}[inPlace]
	s.machine.WriteFile("/etc/crowd.conf", "FLAGS="+flags+"\n", 0o644)
}

func (s *stage) systemctl(ctx context.Context, args ...string) error {
	out, err := s.machine.RunContext(ctx, "systemctl", args...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(out))
	}
	return nil
}

// status asks the service where it stands.
func (s *stage) status(ctx context.Context) (status lifecycle.Status, err error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return s.machine.Dial(ctx, "unix", control) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://crowd/status", nil)
	if err != nil {
		return status, err
	}
	response, err := client.Do(request)
	if err != nil {
		return status, err
	}
	defer func() { _ = response.Body.Close() }()
	return status, json.NewDecoder(response.Body).Decode(&status)
}

// await asks for the status until it is as it should be.
func (s *stage) await(ctx context.Context, what string, every time.Duration, is func(lifecycle.Status) bool) (lifecycle.Status, error) {
	ctx, cancel := patience.Context(ctx, limit)
	defer cancel()
	for {
		status, err := s.status(ctx)
		if err == nil && is(status) {
			return status, nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return status, fmt.Errorf("wait until %s: %w (%+v, %w)", what, context.Cause(ctx), status, err)
		}
	}
}

// all returns how many connections of clients a process has.
func all(status lifecycle.Status) int {
	c := status.Connections
	return c.New + c.Idle + c.Active
}

// round has the service replaced once.
func (s *stage) round(ctx context.Context, verb, program string) (Round, error) {
	if verb == bare {
		return bareRound(program, s.n)
	}
	if (verb == inPlace) != s.inPlace || program != s.program {
		s.configure(program, verb == inPlace)
		if err := s.systemctl(ctx, "restart", service); err != nil {
			return Round{}, err
		}
	}
	before, err := s.rest(ctx, verb)
	if err != nil {
		return Round{}, err
	}
	pid, one, err := s.hostPIDs(before.PID)
	if err != nil {
		return Round{}, err
	}
	w, err := newWatch(pid, one)
	if err != nil {
		return Round{}, err
	}
	r, err := s.replace(ctx, verb, pid, before, w)
	w.end()
	if err != nil {
		return r, err
	}
	after, err := s.rest(ctx, reload)
	if err != nil {
		return r, err
	}
	successor, _, err := s.hostPIDs(after.PID)
	if err != nil {
		return r, err
	}
	r.account(w, pid, successor)
	long, cancel := patience.Context(ctx, limit)
	defer cancel()
	r.Broken, err = s.crowd.check(long, after.Generation)
	if err != nil {
		s.Say("%d connections are broken: %v", r.Broken, err)
	}
	return r, nil
}

// killPause is longer than a process has to live for its death not to be a part
// of a crash loop, in which connections are closed.
const killPause = 1500 * time.Millisecond

// rest waits until one process has all connections, and keeps them if it is to
// be killed.
func (s *stage) rest(ctx context.Context, verb string) (lifecycle.Status, error) {
	if verb == kill {
		time.Sleep(killPause)
	}
	return s.await(ctx, "one process has all connections", 50*time.Millisecond, func(status lifecycle.Status) bool {
		kept := status.Ledger
		return status.State == lifecycle.Ready && all(status) == s.n && len(status.Predecessors) == 0 &&
			(verb != kill || kept != nil && kept.Kept == s.n)
	})
}

// hostPIDs returns the ids on this host of a process of the service and of the
// machine's PID 1.
func (s *stage) hostPIDs(pid int) (process, one int, err error) {
	for _, p := range s.machine.Processes(service) {
		if p.PID == pid {
			process = p.HostPID
		}
	}
	if process == 0 {
		return 0, 0, fmt.Errorf("process %d is not there", pid)
	}
	_, err = fmt.Sscanf(s.machine.Root(), "/proc/%d/root", &one)
	return process, one, err
}

// replace does what the verb says, and waits until the next generation has all
// connections and the process before is gone.
func (s *stage) replace(ctx context.Context, verb string, pid int, before lifecycle.Status, w *watch) (r Round, err error) {
	done := make(chan error, 1)
	began := time.Now()
	switch verb {
	case kill:
		process, err := os.FindProcess(pid)
		if err != nil {
			return r, err
		}
		done <- process.Kill()
	default:
		go func() {
			err := s.systemctl(ctx, map[string]string{reload: reload, inPlace: reload, restart: restart}[verb], service)
			r.Command = time.Since(began)
			done <- err
		}()
	}
	if r.Moving, err = s.arrive(ctx, before, w, began, &r.Owned); err != nil {
		return r, errors.Join(err, <-done)
	}
	r.Waiting = w.waiting()
	if err := <-done; err != nil {
		return r, err
	}
	if verb == inPlace {
		return r, nil
	}
	ctx, cancel := patience.Context(ctx, limit)
	defer cancel()
	for w.has(pid) {
		select {
		case <-time.After(lookTime):
		case <-ctx.Done():
			return r, fmt.Errorf("process %d does not end: %w", pid, context.Cause(ctx))
		}
	}
	return r, nil
}

// askTime is how often the status is asked for at the end, and seldomTime
// before that.
const (
	askTime    = 2 * time.Millisecond
	seldomTime = 100 * time.Millisecond
)

// arrive waits until the next generation has all connections. It notes when
// that was, and returns since when they had been arriving by then.
func (s *stage) arrive(ctx context.Context, before lifecycle.Status, w *watch, began time.Time, owned *time.Duration) (time.Duration, error) {
	ctx, cancel := patience.Context(ctx, limit)
	defer cancel()
	first, asked := time.Time{}, began
	for {
		now := time.Now()
		if first.IsZero() && w.gained(s.n/20) {
			first = now
		}
		due := now.Sub(asked) > seldomTime || w.gained(s.n) && now.Sub(asked) > askTime
		if due {
			status, err := s.status(ctx)
			asked = time.Now()
			if err == nil && status.Generation > before.Generation && all(status) == s.n {
				*owned = asked.Sub(began)
				if first.IsZero() {
					first = asked
				}
				return asked.Sub(first), nil
			}
		}
		select {
		case <-time.After(lookTime):
		case <-ctx.Done():
			return 0, fmt.Errorf("connections do not arrive: %w", context.Cause(ctx))
		}
	}
}
