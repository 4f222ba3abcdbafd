package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// A fixing is what the flags about -fix say.
type fixing struct{ on, yes, dry bool }

func (f *fixing) flags(flags *flag.FlagSet) {
	flags.BoolVar(&f.on, "fix", false, "plan drop-ins that put the findings right, show them, ask, and write them")
	flags.BoolVar(&f.dry, "n", false, "with -fix: show them only")
	flags.BoolVar(&f.yes, "y", false, "with -fix: do not ask")
}

// runFix shows what it would write before it does. The error is errFindings if
// there is something left that fails lint, or nothing was written.
func (l *linting) runFix(args []string, c console) error {
	plan, err := lint.Fix(l.options, args...)
	if err != nil {
		return err
	}
	for _, in := range plan.DropIns {
		show(c.out, in)
	}
	l.showLeft(c.out, plan)
	var failing error
	if slices.ContainsFunc(plan.Left, func(left lint.Left) bool { return l.fails(left.Finding) }) {
		failing = errFindings
	}
	if len(plan.DropIns) == 0 {
		return failing
	}
	if l.fix.dry || !l.fix.yes && !agreed(c, len(plan.DropIns)) {
		fmt.Fprintln(c.out, "Nothing was written.")
		return errFindings
	}
	if err := writeAll(c.out, plan.DropIns); err != nil {
		return err
	}
	l.sayNext(c.out, plan.DropIns)
	return failing
}

// show writes a drop-in as it was and as it will be, and what each line is
// instead of.
func show(w io.Writer, in lint.DropIn) {
	fmt.Fprintf(w, "%s\n", in.Unit)
	for _, change := range in.Changes {
		for _, f := range change.Findings {
			fmt.Fprintf(w, "  %s:%d: %s: %s (%s)\n", f.Path, f.Line, f.Severity, f.Why, f.Rule)
		}
		fmt.Fprintf(w, "    before: %s\n", before(change.Findings[0]))
		fmt.Fprintf(w, "    after:  %s\n", strings.Join(change.Lines, "\n            "))
	}
	from := in.Path
	if in.Old == "" {
		from = "/dev/null"
	}
	fmt.Fprintf(w, "\n--- %s\n+++ %s\n", from, in.Path)
	// A plan only adds.
	for line := range strings.Lines(in.Old) {
		fmt.Fprintf(w, " %s", line)
	}
	for line := range strings.Lines(strings.TrimPrefix(in.New, in.Old)) {
		fmt.Fprintf(w, "+%s", line)
	}
	fmt.Fprintln(w)
}

func before(f lint.Finding) string {
	if f.Missing {
		return "[" + f.Section + "] has no " + f.Setting + "="
	}
	return f.Setting + "=" + f.Value
}

func (l *linting) showLeft(w io.Writer, plan lint.Plan) {
	if len(plan.Left) == 0 {
		return
	}
	fmt.Fprintln(w, "Left as it is:")
	for _, left := range plan.Left {
		fmt.Fprintf(w, "  %s\n    %s\n", left.Finding, left.Reason)
	}
	fmt.Fprintln(w)
}

// agreed asks. Whoever cannot answer has not agreed.
func agreed(c console, files int) bool {
	what := "this file"
	if files > 1 {
		what = fmt.Sprintf("these %d files", files)
	}
	fmt.Fprintf(c.out, "Write %s? [y/N] ", what)
	answer, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil {
		fmt.Fprintln(c.out)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// writeAll writes the drop-ins, and prints their paths. It writes none over
// what has changed since it was shown.
func writeAll(w io.Writer, dropIns []lint.DropIn) error {
	for _, in := range dropIns {
		text, err := os.ReadFile(in.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		}
		if string(text) != in.Old {
			return fmt.Errorf("%s has changed meanwhile, and was not written", in.Path)
		}
		if err := write(in.Path, in.New, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(w, in.Path)
	}
	return nil
}

// sayNext says how it takes effect, and how it is taken back.
func (l *linting) sayNext(w io.Writer, dropIns []lint.DropIn) {
	systemctl := "systemctl"
	if l.options.Scope == units.User {
		systemctl += " --user"
	}
	var services, sockets, paths []string
	for _, in := range dropIns {
		if strings.HasSuffix(in.Unit, ".socket") {
			sockets = append(sockets, in.Unit)
		} else {
			services = append(services, in.Unit)
		}
		paths = append(paths, in.Path)
	}
	fmt.Fprintf(w, "\nTo apply:   %s daemon-reload\n", systemctl)
	if len(services) > 0 {
		fmt.Fprintf(w, "            and when a restart suits, %s restart %s\n", systemctl, strings.Join(services, " "))
		fmt.Fprintln(w, "            (the process that it stops still runs by the old lines)")
	}
	if len(sockets) > 0 {
		fmt.Fprintf(w, "            and of %s a stop and a start, for which the service has to\n", strings.Join(sockets, " "))
		fmt.Fprintln(w, "            stop as well: connections are refused meanwhile")
	}
	fmt.Fprintf(w, "To undo it: rm %s, and the same again\n", strings.Join(paths, " "))
}
