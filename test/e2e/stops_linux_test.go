package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

const (
	// stopsSeed is the environment variable that repeats a TestStops: it logs
	// its seed.
	stopsSeed = "HEIRLOOM_STOPS_SEED"
	// stopsAtOnce is how many services of a systemd are at it at a time.
	stopsAtOnce = 30
	// stopsOnEach is how many services are stopped on each systemd, or as many
	// as sdtest.Rounds says: those of specialStops, and others.
	stopsOnEach = 67
)

// TestStops stops services that have more to do than they have time for, or
// less, or just as much: what can be done is done, the rest is broken off so
// that the client knows, and systemd never has to kill.
func TestStops(t *testing.T) {
	seed := seedOf(t, stopsSeed)
	var all []*stops
	for _, v := range sdtest.Turn(t.Name()) {
		all = append(all, newStops(t, v, rand.New(rand.NewPCG(seed, uint64(v)))))
	}
	var group sync.WaitGroup
	for _, s := range all { // at once, however few tests may run in parallel: they mostly wait
		group.Go(s.run)
	}
	group.Wait()
	for _, s := range all {
		s.check()
	}
}

// seedOf returns the value of an environment variable, or another seed each time
// where it has none, and logs it.
func seedOf(t *testing.T, variable string) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(variable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", variable, seed)
	return seed
}

// Stops is what TestStops does on one systemd.
type stops struct {
	t       *testing.T
	version sdtest.Version
	machine *sdtest.Machine
	cases   []stopCase
	jobs    sync.Mutex // held while systemd has a job that takes it time

	mu      sync.Mutex
	stopped []*stopResult
}

// A stopResult is what has become of a case.
type stopResult struct {
	stopCase
	requests []*sleeper
	drains   []interval // by generation: when it was told to
}

// An interval is when something has happened: not before one moment and not
// after another.
type interval struct{ from, to time.Time }

func newStops(t *testing.T, v sdtest.Version, r *rand.Rand) *stops {
	s := &stops{t: t, version: v, machine: sdtest.Boot(t, v)}
	s.machine.Install(program("drainer"), "/usr/bin/drainer")
	for i := range sdtest.Rounds(v, stopsOnEach) {
		c := drawStop(r)
		if special := specialStops(); i < len(special) {
			c = special[i]
		}
		c.unit, c.address = fmt.Sprintf("drainer@%d.service", 8000+i), fmt.Sprintf("127.0.0.1:%d", 8000+i)
		s.machine.WriteFile("/etc/systemd/system/"+c.unit+".d/case.conf", c.settings(), 0o644)
		s.cases = append(s.cases, c)
	}
	installUnits(t, s.machine, v, drainers())
	slices.SortFunc(s.cases, func(a, b stopCase) int { return int(b.timeout + b.extension - a.timeout - a.extension) }) // to be done sooner
	return s
}

func (s *stops) run() {
	next := make(chan stopCase)
	var group sync.WaitGroup
	for range stopsAtOnce {
		group.Go(func() {
			for c := range next {
				if err := s.stop(c); err != nil {
					s.t.Errorf("%s: %v", c.unit, err)
				}
			}
		})
	}
	for _, c := range s.cases {
		next <- c
	}
	close(next)
	group.Wait()
}

// stop starts a service, gives it something to do in each of its generations,
// and stops it.
func (s *stops) stop(c stopCase) error {
	if err := s.systemctl("start", c.unit); err != nil {
		return err
	}
	r := &stopResult{stopCase: c}
	for i, requests := range c.requests {
		if i > 0 {
			from := time.Now()
			if err := s.systemctl("reload", c.unit); err != nil {
				return err
			}
			r.drains = append(r.drains, interval{from, time.Now()})
		}
		begun, err := s.begin(c, i+1, requests)
		if err != nil {
			return err
		}
		r.requests = append(r.requests, begun...)
	}
	if c.reload { // into a successor that is not ready soon
		if err := s.systemctl("reload", "--no-block", c.unit); err != nil {
			return err
		}
		time.Sleep(halfWay)
	}
	from := time.Now()
	if err := s.systemctl("stop", "--no-block", c.unit); err != nil {
		return err
	}
	if c.again {
		time.Sleep(halfWay) // or two signals are one
		if err := s.systemctl("kill", "--kill-whom=all", "--signal=TERM", c.unit); err != nil {
			return err
		}
	}
	r.drains = append(r.drains, interval{from, time.Now()}) // the journal will tell the end better
	for _, request := range r.requests {
		<-request.done
	}
	if out, err := s.machine.Run("systemctl", "stop", c.unit); err != nil { // waits for the first one
		return fmt.Errorf("systemctl stop: %w: %s", err, out)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = append(s.stopped, r)
	return nil
}

// begin sends the requests to a generation, and returns when it is at them.
func (s *stops) begin(c stopCase, generation int, requests []request) ([]*sleeper, error) {
	var sleepers []*sleeper
	for i, r := range requests {
		conn, err := s.machine.Dial(context.Background(), "tcp", c.address)
		if err != nil {
			return nil, err
		}
		begun, err := sleep(conn, generation, fmt.Sprintf("%d.%d", generation, i+1), r.how, r.d)
		if err != nil {
			return nil, err
		}
		sleepers = append(sleepers, begun)
	}
	return sleepers, nil
}

// systemctl has systemd start or stop one service at a time: a service has a
// little less time than its TimeoutStopSec= if systemd stops many in one turn
// of its event loop, for it counts from the beginning of that
// (sd_event_source_set_time_relative).
func (s *stops) systemctl(args ...string) error {
	if args[0] != "reload" {
		s.jobs.Lock()
		defer s.jobs.Unlock()
	}
	if out, err := s.machine.Run("systemctl", args...); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// How far from the deadline a request must be for its fate to be certain: where
// the processor is busy, an answer that is due a moment before it is written a
// moment after it. Package patience stretches it, as it does all times of the
// cases.
const certain = 300 * time.Millisecond

// judge says whether the right thing has become of each request, and how many
// were answered and how many broken off.
func (r *stopResult) judge(t *testing.T) (answered, broken int) {
	for _, request := range r.requests {
		must, mustNot := r.fate(request)
		switch {
		case request.err == nil && (mustNot || request.ended.Before(request.asked.Add(request.d))):
			t.Errorf("%v was answered\n%v", request, r)
		case request.err == nil:
			answered++
		case !request.brokenOff():
			t.Errorf("%v ended with %v\n%v", request, request.err, r)
		case must:
			t.Errorf("%v was broken off\n%v", request, r)
		default:
			broken++
		}
	}
	return answered, broken
}

// fate says whether a request must be answered, or must not. Its generation has
// drained since its own reload, if there was one, and is not to drain for
// longer than the service that is stopped.
func (r *stopResult) fate(request *sleeper) (must, mustNot bool) {
	own, stop := r.drains[request.generation-1], r.drains[len(r.drains)-1]
	sure, latest := own.from.Add(r.finish()), own.to.Add(r.finish())
	if own != stop && r.hook != "" { // a predecessor's hooks come before those of the main process
		sure = own.from.Add(r.finish() * 2 / 3)
	}
	if end := stop.to.Add(r.finish()); end.Before(latest) {
		latest = end
	}
	return request.begun.Add(request.d + patience.Of(certain)).Before(sure), request.asked.Add(request.d - patience.Of(certain)).After(latest)
}

func (r *stopResult) String() string {
	text := strings.ReplaceAll(r.settings(), "\n", "; ")
	for i, d := range r.drains {
		text += fmt.Sprintf("\ngeneration %d was told between %s and %s", i+1, d.from.Format(stampMicro), d.to.Format(stampMicro))
	}
	for _, request := range r.requests {
		text += fmt.Sprintf("\n%v asked %s begun %s ended %s: %v", request, request.asked.Format(stampMicro), request.begun.Format(stampMicro),
			request.ended.Format(stampMicro), request.err)
	}
	return r.unit + ": " + text
}

const stampMicro = "05.000000"

var (
	killed   = regexp.MustCompile(`systemd\[1\]: .*(SIGKILL|timed out|code=killed, status=9|result 'timeout'|reception only permitted).*`)
	crashed  = regexp.MustCompile(`drainer\[\d+\]: (panic:|fatal error:|.*cannot find out the unit's).*`)
	stopping = regexp.MustCompile(`(?m)^\[ *([0-9.]+)\] .*systemd\[1\]: Stopping (drainer@\d+\.service)`)
)

// check looks for stops that were not left to the service, and for requests
// that were not treated rightly.
func (s *stops) check() {
	s.t.Helper()
	journal := s.machine.Journal()
	for _, bad := range []*regexp.Regexp{killed, crashed} {
		for _, line := range bad.FindAllString(journal, 10) {
			if s.endsNow(line) {
				continue
			}
			s.t.Errorf("in the journal of %v: %s", s.version, line)
		}
	}
	signalled := make(map[string]time.Time)
	for _, m := range stopping.FindAllStringSubmatch(journal, -1) {
		signalled[m[2]] = s.when(m[1])
	}
	answered, broken := 0, 0
	for _, r := range s.stopped {
		at, ok := signalled[r.unit]
		if ok {
			r.drains[len(r.drains)-1].to = at
		} else if !r.reload { // of such a stop systemd says nothing
			s.t.Errorf("the journal does not tell that %s was stopped", r.unit)
		}
		a, b := r.judge(s.t)
		answered, broken = answered+a, broken+b
	}
	s.t.Logf("%v: %d stops: %d requests were answered, %d broken off", s.version, len(s.stopped), answered, broken)
}

// when translates a time of the journal's, which is that of the kernel's
// monotonic clock.
func (s *stops) when(seconds string) time.Time {
	s.t.Helper()
	at, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		s.t.Fatal(err)
	}
	return time.Now().Add(time.Duration(at*float64(time.Second)) - time.Duration(now.Nano()))
}

// endsNow reports whether the line tells of the end of a service whose every
// process was told to end now. systemd looks for processes left by the main
// one, sends SIGTERM, and, if it found none, SIGKILL: to one that it did not
// see the first time, because it was just ending.
func (s *stops) endsNow(line string) bool {
	return strings.Contains(line, ": Killing process ") && slices.ContainsFunc(s.stopped, func(r *stopResult) bool {
		return r.again && strings.Contains(line, r.unit)
	})
}
