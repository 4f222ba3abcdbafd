package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
}

func parseScale(args []string) (scaleOptions, error) {
	var o scaleOptions
	set := flag.NewFlagSet("scale", flag.ExitOnError)
	set.IntVar(&o.Rounds, "rounds", 3, "how many times each is done")
	set.StringVar(&o.json, "json", "", "a `FILE` for all figures")
	systemd := set.String("systemd", "262", "the version of systemd, one of "+strings.Join(versionNames(), ", "))
	connections := set.String("connections", "1000,5000,10000,19000", "a `LIST` of how many clients there are")
	verbs := set.String("verbs", strings.Join(scale.Verbs(), ","), "a `LIST` of them")
	programs := set.String("programs", "", "a `LIST` of builds of contenders/crowd to compare, instead of that of this checkout")
	secure := set.String("tls", "no,yes", "a `LIST` of no, yes")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	versions, err := choose("systemd", *systemd, sdtest.Versions())
	if err != nil || len(versions) != 1 {
		return o, errors.Join(err, fmt.Errorf("-systemd %s: want one", *systemd))
	}
	o.systemd = versions[0]
	for text := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-connections %q: want numbers", *connections)
		}
		o.Connections = append(o.Connections, n)
	}
	o.Verbs = strings.Split(*verbs, ",")
	if *programs != "" {
		o.Programs = strings.Split(*programs, ",")
	}
	for text := range strings.SplitSeq(*secure, ",") {
		o.Secure = append(o.Secure, text == "yes")
	}
	return o, nil
}

// runScale measures, and prints a table.
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
	if o.json != "" {
		text, jsonErr := json.MarshalIndent(results, "", "  ")
		if jsonErr == nil {
			jsonErr = os.WriteFile(o.json, append(text, '\n'), 0o644)
		}
		err = errors.Join(err, jsonErr)
	}
	return err
}
