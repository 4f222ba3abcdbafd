package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// costsOptions are those of `compare costs`.
type costsOptions struct {
	systemd        sdtest.Version
	pairs, reloads int
}

func parseCosts(args []string) (o costsOptions, err error) {
	set := flag.NewFlagSet("costs", flag.ExitOnError)
	set.IntVar(&o.pairs, "pairs", 40, "how many times requests of both are measured")
	set.IntVar(&o.reloads, "reloads", 30, "how many times each is reloaded")
	systemd := set.String("systemd", "262", "the version of systemd, one of "+strings.Join(versionNames(), ", "))
	if err := set.Parse(args); err != nil {
		return o, err
	}
	versions, err := choose("systemd", *systemd, sdtest.Versions())
	if err != nil || len(versions) != 1 || o.pairs < 1 || o.reloads < 1 || set.NArg() > 0 {
		return o, errors.Join(err, fmt.Errorf("costs %q: want one systemd, a pair and a reload at least, and no arguments", args))
	}
	o.systemd = versions[0]
	return o, nil
}

// A cost is what something costs with heirloom and with another, in pairs that
// were measured right after each other.
type cost struct {
	what, with string
	pairs      [][2]time.Duration // heirloom first
}

// runCosts measures both services on one machine, in turn, and prints the
// ratios: the time of one run says little, since no machine is equally fast for
// long.
func runCosts(ctx context.Context, o costsOptions, out *show.Screen) (err error) {
	dir, err := os.MkdirTemp("", "heirloom-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shop, err := newWorkshop(dir, options{})
	if err != nil {
		return err
	}
	var three []contender
	for _, name := range []string{heirloom, "net/http", "tableflip"} {
		one, err := choose("contender", name, allContenders())
		if err != nil {
			return err
		}
		three = append(three, one...)
	}
	if err := shop.build(ctx, options{contenders: three, rows: []row{{over: overTLS}}}, out); err != nil {
		return err
	}
	var costs []cost
	err = inMachine(out, func(t sdtest.TB) (err error) {
		out.Say("booting systemd %v", o.systemd)
		s := &stage{machine: sdtest.Boot(t, o.systemd), shop: shop, out: out}
		s.machine.WriteFile("/etc/systemd/system/service.d/often.conf", "[Unit]\nStartLimitIntervalSec=0\n", 0o644)
		costs, err = s.costs(ctx, three[0], three[1], three[2], o)
		return err
	})
	if len(costs) > 0 {
		out.Say("%s", costTable(costs))
	}
	return err
}

func costTable(costs []cost) show.Table {
	table := show.Table{Title: "What heirloom costs", Head: []string{"heirloom, µs", "the other, µs", "ratio", "quartiles"}, Notes: []string{
		"Medians, and of the ratios of each pair the quartiles. CPU is that of the server's process, with all that is in the kernel. None has a filter of system calls or packets.",
		"signal: from SIGHUP to the first answer of the next process, to a client that opens a connection for each request, beside 50 that keep theirs.",
		"p99.9: of the answers to the 50, in the second after the signal and in the second before it.",
	}}
	for _, c := range costs {
		var own, other []time.Duration
		var ratios []float64
		for _, p := range c.pairs {
			own, other = append(own, p[0]), append(other, p[1])
			ratios = append(ratios, float64(p[0])/float64(p[1]))
		}
		table.Rows = append(table.Rows, show.Row{Name: c.what + ", " + c.with, Cells: []string{
			microseconds(quantile(own, 0.5)), microseconds(quantile(other, 0.5)),
			fmt.Sprintf("%.3f", quantile(ratios, 0.5)),
			fmt.Sprintf("%.3f to %.3f", quantile(ratios, 0.25), quantile(ratios, 0.75)),
		}})
	}
	return table
}

func microseconds(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1000) }

// quantile returns the value that such a share of all is below.
func quantile[T cmp.Ordered](all []T, share float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(float64(len(sorted))*share), len(sorted)-1)]
}
