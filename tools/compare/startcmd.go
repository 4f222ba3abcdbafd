package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/compare/scale"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// settledTime is when the processor time of a process is looked at once more:
// what it does after it is ready is done by then.
const settledTime = 500 * time.Millisecond

// A started is what one start took.
type started struct{ ready, cpu, settled time.Duration }

// runStart starts examples/hello and the same service of net/http alone, in
// turn, as the same unit, and prints what that takes.
func runStart(ctx context.Context, args []string, out *show.Screen) (err error) {
	set := flag.NewFlagSet("start", flag.ExitOnError)
	rounds := set.Int("rounds", 20, "how many times each is started")
	systemd := set.String("systemd", "262", "the version of systemd, one of "+strings.Join(versionNames(), ", "))
	program := set.String("program", "", "the program to take for heirloom's, instead of examples/hello")
	if err := set.Parse(args); err != nil {
		return err
	}
	versions, err := choose("systemd", *systemd, sdtest.Versions())
	if err != nil || *rounds < 1 || set.NArg() > 0 {
		return errors.Join(err, fmt.Errorf("start %q: want a round at least, and no arguments", args))
	}
	dir, err := os.MkdirTemp("", "heirloom-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shop, err := newWorkshop(dir, options{program: *program})
	if err != nil {
		return err
	}
	own, bare := allContenders()[0], allContenders()[slices.IndexFunc(allContenders(), func(c contender) bool { return c.name == "net/http" })]
	both := []contender{own, bare}
	if err := shop.build(ctx, options{contenders: both}, out); err != nil {
		return err
	}
	return inMachine(out, func(t sdtest.TB) error {
		s := stage{machine: sdtest.Boot(t, versions[0]), shop: shop, out: out}
		return s.compareStarts(ctx, own, both, *rounds)
	})
}

// compareStarts installs the unit of one of the contenders, and has it start
// the program of each.
func (s *stage) compareStarts(ctx context.Context, unit contender, all []contender, rounds int) error {
	files, err := unit.files(s.shop.root)
	if err != nil {
		return err
	}
	for _, f := range files {
		s.machine.WriteFile(f.Path, f.Text, f.Mode)
	}
	s.machine.WriteFile("/etc/systemd/system/service.d/often.conf", "[Unit]\nStartLimitIntervalSec=0\n", 0o644)
	t := &turn{contender: unit, stage: s}
	for _, args := range [][]string{{"systemd-sysusers"}, {"systemctl", "daemon-reload"}, {"systemctl", "start", unit.unit + ".socket"}} {
		if err := t.run(ctx, args[0], args[1:]...); err != nil {
			return err
		}
	}
	took := map[string][]started{}
	for range rounds {
		for _, c := range all {
			s.machine.Install(s.shop.program(c, versions[0]), unit.program())
			one, err := t.start(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			took[c.name] = append(took[c.name], one)
		}
	}
	table := show.Table{Title: fmt.Sprintf("systemctl start, %d times each, in milliseconds", rounds), Head: []string{"until ready", "CPU by then", "CPU in all"}, Notes: []string{
		"The median, with the least and the most. CPU is that of the process, in which systemd has set up what the unit says before it was the program."}}
	for _, c := range all {
		table.Rows = append(table.Rows, show.Row{Name: c.name, Cells: []string{
			spread(took[c.name], func(s started) time.Duration { return s.ready }),
			spread(took[c.name], func(s started) time.Duration { return s.cpu }),
			spread(took[c.name], func(s started) time.Duration { return s.settled }),
		}})
	}
	s.out.Say("%s", table)
	return nil
}

// start starts the service once, and stops it.
func (t *turn) start(ctx context.Context) (one started, err error) {
	began := time.Now()
	if err := t.run(ctx, "systemctl", "start", t.service()); err != nil {
		return one, err
	}
	one.ready = time.Since(began)
	pid := 0
	for _, p := range t.machine.Processes(t.service()) {
		pid = p.HostPID
	}
	if one.cpu, err = scale.CPUTime(pid); err != nil {
		return one, err
	}
	select {
	case <-time.After(settledTime):
	case <-ctx.Done():
		return one, context.Cause(ctx)
	}
	if one.settled, err = scale.CPUTime(pid); err != nil {
		return one, err
	}
	return one, t.run(ctx, "systemctl", "stop", t.service())
}

func spread(all []started, of func(started) time.Duration) string {
	var values []time.Duration
	for _, one := range all {
		values = append(values, of(one))
	}
	slices.Sort(values)
	text := func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) }
	return fmt.Sprintf("%s (%s to %s)", text(values[len(values)/2]), text(values[0]), text(values[len(values)-1]))
}
