package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// The load: what it is at, and how often a client asks.
const (
	address   = "127.0.0.1:8080"
	thinkTime = 10 * time.Millisecond
)

// How long a service may take to be as it should, which is longer than the 30
// seconds that overseer gives a child, and how often one looks.
const (
	settleTime = 45 * time.Second
	lookTime   = 50 * time.Millisecond
)

// A stage is a machine on which contenders take turns.
type stage struct {
	machine *sdtest.Machine
	shop    *workshop
	options options
	out     *show.Screen
	systemd sdtest.Version
	suffix  string
}

// A turn is what one verb did to the clients of one contender.
type turn struct {
	contender
	row
	act    *show.Act
	report loadtest.Report
	ledger *ledger
	rounds int // that went to their end

	*stage
	now process // that answers
}

// A process is what an answer tells of it.
type process struct {
	generation, pid int
	version         string
}

// turn starts a service, has it replaced under load, and stops it. There is
// none if there was no load.
func (s *stage) turn(ctx context.Context, c contender, r row) (*turn, error) {
	t := &turn{contender: c, row: r, stage: s}
	err := t.begin(ctx)
	if err == nil {
		err = t.underLoad(ctx)
	}
	if ctx.Err() != nil { // the machine goes with it
		return t.played(), err
	}
	_, stopErr := s.machine.RunContext(ctx, "systemctl", append([]string{"stop"}, c.units()...)...)
	return t.played(), errors.Join(err, stopErr)
}

func (t *turn) played() *turn {
	if t.act == nil {
		return nil
	}
	return t
}

// begin installs and starts the service, as if it had never been there.
func (t *turn) begin(ctx context.Context) error {
	if err := t.install(); err != nil {
		return err
	}
	if err := t.run(ctx, "rm", "-f", path.Join("/run", t.unit+".generation")); err != nil {
		return err
	}
	if err := t.configure(ctx); err != nil {
		return err
	}
	if t.verb.key == upgrade {
		if err := t.dpkg(ctx, 1); err != nil {
			return err
		}
	}
	err := t.startUnits(ctx)
	if err == nil {
		t.now, err = t.settle(ctx, 1)
	}
	return err
}

// install puts the program and its units in place.
func (t *turn) install() error {
	files, err := t.files(t.shop.root)
	if err != nil {
		return err
	}
	t.machine.Install(t.shop.program(t.contender, versions[0]), t.program())
	if t.isDebian() {
		if err := t.shop.installLibraries(t.machine); err != nil {
			return err
		}
	}
	for _, f := range files {
		t.machine.WriteFile(f.Path, f.Text, f.Mode)
	}
	return nil
}

// startUnits starts what is installed.
func (t *turn) startUnits(ctx context.Context) error {
	for _, args := range [][]string{{"systemd-sysusers"}, {"systemctl", "daemon-reload"}, append([]string{"systemctl", "start"}, t.units()...)} {
		if err := t.run(ctx, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// underLoad lets the clients loose, has the service replaced, and writes down
// what they met.
func (t *turn) underLoad(ctx context.Context) error {
	t.ledger = &ledger{open: t.machine.Dial, over: t.over}
	t.act = show.NewAct(strings.TrimPrefix(t.title, "systemctl ")+" of "+t.name+t.suffix, t.verb.about, t.verb.key)
	load := loadtest.Start(
		loadtest.Target{Address: address, Dial: t.ledger.dial, ThinkTime: thinkTime, SlowFor: t.slow, Observe: t.act.Observe},
		t.load,
	)
	unwatch := func() {}
	if t.out.Live() {
		unwatch = t.out.Watch(fmt.Sprintf("%s: %s%s", t.contender, t.title, t.suffix), t.verb.key, t.options.rounds, load.Snapshot)
	}
	err := t.replace(ctx, load)
	t.report = load.Stop()
	unwatch()
	t.act.Close(t.report)
	t.out.Say("%-10s %-17s %2d times%s: %6d requests, %5d broken", t.contender, t.title, t.rounds, t.suffix, t.report.Requests, t.report.Broken)
	return err
}

func (t *turn) replace(ctx context.Context, load *loadtest.Run) error {
	for round := 1; ; round++ {
		select {
		case <-time.After(max(t.options.pause, t.verb.atLeast)):
		case <-ctx.Done():
			return fmt.Errorf("after %d of %d rounds: %w", t.rounds, t.options.rounds, context.Cause(ctx))
		}
		if round > t.options.rounds {
			return nil
		}
		err := t.round(ctx, load, round)
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		t.rounds = round
	}
}

// round has the verb done, and sees to it that it did what it should.
func (t *turn) round(ctx context.Context, load *loadtest.Run, round int) error {
	before, invocation := t.now, t.machine.Property(t.service(), "InvocationID")
	t.act.Replace(before.generation + 1)
	if err := t.verb.do(ctx, t, round); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := load.WaitGeneration(limit, before.generation+1); err != nil {
		return err
	}
	after, err := t.settle(ctx, before.generation+1)
	if err != nil {
		return err
	}
	t.now = after
	again := t.machine.Property(t.service(), "InvocationID") != invocation
	switch {
	case after.pid == before.pid && !t.stays || after.generation != before.generation+1 && t.verb.key != burst || after.generation <= before.generation:
		return fmt.Errorf("generation %d of process %d answers, after %d of %d", after.generation, after.pid, before.generation, before.pid)
	case t.verb.key == upgrade && after.version != versionOf(round+1):
		return fmt.Errorf("version %s answers, want %s", after.version, versionOf(round+1))
	case !again && (t.verb.key == "restart" || t.verb.key == crash):
		return errors.New("systemd has not started it anew")
	}
	if t.out.Live() {
		t.out.Replaced(round, fmt.Sprintf("generation %d (process %d, version %s) answers", after.generation, after.pid, after.version))
	}
	return nil
}

// settle waits until nobody but a process of that generation, or of a later
// one, is left of the service, answers, and is what systemd takes for the main
// process.
func (t *turn) settle(ctx context.Context, generation int) (process, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		p, err := t.ask(ctx)
		if err == nil && p.generation >= generation && t.alone(p.pid) {
			return p, nil
		}
		select {
		case <-time.After(lookTime):
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("generation %d of process %d answers, and of its processes there are %v", p.generation, p.pid, t.machine.Processes(t.service()))
			}
			return p, fmt.Errorf("generation %d of the service does not come to rest: %w (%w)", generation, context.Cause(ctx), err)
		}
	}
}

// alone reports whether the service has the process that answers and no other,
// but for its main one.
func (t *turn) alone(pid int) bool {
	main, left := t.machine.Property(t.service(), "MainPID"), 0
	if t.stays { // it cannot say which process it is
		pid, _ = strconv.Atoi(main)
	}
	for _, p := range t.machine.Processes(t.service()) {
		if t.apart && fmt.Sprint(p.PID) == main {
			continue
		}
		if p.PID != pid {
			return false
		}
		left++
	}
	return left == 1 && t.apart == (main != fmt.Sprint(pid))
}

// ask asks who answers.
func (t *turn) ask(ctx context.Context) (process, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.machine.Dial(ctx, network, addr)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // of a certificate that was made here
	}}
	scheme := "http"
	if t.isSecure() {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/", nil)
	if err != nil {
		return process{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return process{}, err
	}
	var p process
	if _, err := fmt.Sscanf(string(body), "hello from generation %d (pid %d, version %s", &p.generation, &p.pid, &p.version); err != nil {
		return process{}, fmt.Errorf("answer %q: %w", body, err)
	}
	p.version = strings.TrimSuffix(p.version, ")")
	return p, nil
}

// run runs a command inside.
func (t *turn) run(ctx context.Context, name string, args ...string) error {
	out, err := t.machine.RunContext(ctx, name, args...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(out))
	}
	return nil
}

func (t *turn) dpkg(ctx context.Context, release int) error {
	inside := "/root/" + path.Base(t.shop.deb(t.contender, release))
	t.machine.Install(t.shop.deb(t.contender, release), inside)
	return t.run(ctx, "dpkg", "--force-unsafe-io", "-i", inside)
}
