package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/compare/scale"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// scaleOptions are those of `compare scale`.
type scaleOptions struct {
	scale.Options
	systemd sdtest.Version
	json    string
	plot    string
}

func parseScale(args []string) (scaleOptions, error) {
	var o scaleOptions
	set := flag.NewFlagSet("scale", flag.ExitOnError)
	set.IntVar(&o.Rounds, "rounds", 3, "how many times each is done")
	set.StringVar(&o.json, "json", "", "a `FILE` for all figures")
	set.StringVar(&o.plot, "plot", "", "a `FILE` for a plot of them, as SVG")
	systemd := set.String("systemd", "262", "the version of systemd, one of "+strings.Join(versionNames(), ", "))
	connections := set.String("connections", "1000,5000,10000,19000", "a `LIST` of how many clients there are")
	verbs := set.String("verbs", strings.Join(scale.Verbs(), ","), "a `LIST` of them")
	programs := set.String("programs", "", "a `LIST` of builds of contenders/crowd to compare, instead of that of this checkout")
	secure := set.String("tls", "no,yes", "a `LIST` of no, yes")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	versions, err := choose("systemd", *systemd, sdtest.Versions())
	switch {
	case err != nil:
		return o, err
	case len(versions) != 1:
		return o, fmt.Errorf("-systemd %s: want one", *systemd)
	}
	o.systemd = versions[0]
	for text := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-connections %q: want numbers", *connections)
		}
		o.Connections = append(o.Connections, n)
	}
	for text := range strings.SplitSeq(*verbs, ",") {
		if !slices.Contains(scale.Verbs(), text) {
			return o, fmt.Errorf("there is no verb %q, only %s", text, strings.Join(scale.Verbs(), ", "))
		}
		o.Verbs = append(o.Verbs, text)
	}
	if *programs != "" {
		o.Programs = strings.Split(*programs, ",")
	}
	for text := range strings.SplitSeq(*secure, ",") {
		if text != "no" && text != "yes" {
			return o, fmt.Errorf("-tls %q: want no, yes", *secure)
		}
		o.Secure = append(o.Secure, text == "yes")
	}
	switch {
	case o.Rounds < 1:
		return o, fmt.Errorf("-rounds %d: want 1 at least", o.Rounds)
	case set.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return o, nil
}

// runScale measures, and prints tables: of the figures, and of how they grow.
func runScale(ctx context.Context, o scaleOptions, out *show.Screen) (err error) {
	dir, err := os.MkdirTemp("", "heirloom-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shop, err := newWorkshop(dir, options{})
	if err != nil {
		return err
	}
	o.Say = out.Say
	if len(o.Programs) == 0 {
		o.Programs = []string{filepath.Join(dir, "crowd")}
		out.Say("building the program")
		if err := shop.goBuild(ctx, "tools/compare", o.Programs[0], "./contenders/crowd"); err != nil {
			return err
		}
	}
	var results []*scale.Result
	err = inMachine(out, func(t sdtest.TB) (err error) {
		out.Say("booting systemd %v", o.systemd)
		results, err = scale.Measure(ctx, sdtest.Boot(t, o.systemd), o.Options)
		return err
	})
	out.Print(scale.Markdown(results))
	if slopes := scale.Slopes(results); slopes != "" {
		out.Print("\n" + slopes)
	}
	if o.plot != "" {
		err = errors.Join(err, os.WriteFile(o.plot, []byte(scale.Plot(results)), 0o644))
	}
	if o.json != "" {
		text, jsonErr := json.MarshalIndent(results, "", "  ")
		if jsonErr == nil {
			jsonErr = os.WriteFile(o.json, append(text, '\n'), 0o644)
		}
		err = errors.Join(err, jsonErr)
	}
	return errors.Join(err, judgeScale(results))
}

// judgeScale says which connections should not be broken.
func judgeScale(results []*scale.Result) error {
	err := error(nil)
	for _, r := range results {
		for _, round := range r.Rounds {
			if round.Broken > 0 {
				err = errors.Join(err, fmt.Errorf("%s: %d of %d connections are broken", r.Verb, round.Broken, r.Connections))
			}
		}
	}
	return err
}
