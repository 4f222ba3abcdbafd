package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// A linting is what the flags of lint say.
type linting struct {
	options lint.Options
	user    bool
	spec    string
	drain   time.Duration
	reload  string
	format  string
	strict  bool
	only    string
	fix     fixing
}

func lintCommand() command {
	return command{
		name:  "lint",
		short: "find in units what would break a reload, restart or upgrade",
		usage: "[flags] FILE|UNIT...",
		long: `Lint reads services with their sockets and drop-ins, and tells what in them
would break a reload, restart, stop or upgrade of a daemon built with heirloom.
It exits with 1 if it finds an error, with 0 if it finds none, and with 2 if it
cannot read a unit.

    heirloom-units lint ./hello.service ./hello.socket
    heirloom-units lint hello                                    (as systemd finds it)
    heirloom-units lint -root debian/hello -spec hello.heirloom hello.service
    heirloom-units lint -format sarif debian/*.service > units.sarif

Why a rule is there tells heirloom-units explain RULE. A unit that knows better
says X-Heirloom-Ignore=RULE in any section.

With -fix lint also plans a drop-in for each unit, shows it, asks, and writes it:
/etc/systemd/system/hello.service.d/zz-heirloom.conf. It touches no other file,
and leaves alone what somebody has to judge. It has no effect on the running
service: what to do next is said at the end. Its exit status is that of what is
left. Not for daemons that were not built with heirloom: with Type=notify they do
not start.

    heirloom-units lint -fix -n hello                            (shows it only)
    heirloom-units lint -fix -rules fd-store,kill-mode hello
    heirloom-units lint -fix -y -user hello
`,
		args:   argument{units: true},
		values: map[string][]string{"format": {"text", "json", "sarif"}, "rules": ruleIDs()},
		prepare: func(flags *flag.FlagSet) action {
			var l linting
			flags.StringVar(&l.options.Root, "root", "", "look units up below this `directory`, such as an unpacked package")
			flags.BoolVar(&l.user, "user", false, "look units up as a user's service manager does")
			flags.IntVar(&l.options.Systemd, "systemd", units.Oldest, "the oldest `version` of systemd that the units are for")
			flags.StringVar(&l.spec, "spec", "", "compare with the daemon's description in this `file`")
			flags.Var((*span)(&l.drain), "drain", "the duration of the longest request that must not be aborted, a `time` such as 20s")
			flags.StringVar(&l.reload, "reload", "", "the `arguments` with which the program asks the running service to reload (default \"reload\")")
			flags.StringVar(&l.format, "format", "text", "text, json or sarif")
			flags.BoolVar(&l.strict, "strict", false, "exit with 1 for warnings as well")
			flags.StringVar(&l.only, "rules", "", "apply only these `rules`, such as fd-store,kill-mode")
			l.fix.flags(flags)
			return l.run
		},
	}
}

var writers = map[string]func(io.Writer, []lint.Finding) error{
	"text": lint.WriteText, "json": lint.WriteJSON, "sarif": lint.WriteSARIF,
}

func (l *linting) run(_ context.Context, args []string, c console) error {
	write := writers[l.format]
	switch {
	case write == nil:
		return fmt.Errorf("-format %s: it is text, json or sarif", l.format)
	case len(args) == 0:
		return errors.New("no units: give files or names")
	case l.fix.on && l.format != "text":
		return fmt.Errorf("-format %s: -fix writes text", l.format)
	case !l.fix.on && (l.fix.yes || l.fix.dry):
		return errors.New("-n and -y say what -fix does: give it as well")
	}
	if l.user {
		l.options.Scope = units.User
	}
	if err := l.describe(); err != nil {
		return err
	}
	if l.only != "" {
		l.options.Only = strings.Split(l.only, ",")
	}
	if l.fix.on {
		return l.runFix(args, c)
	}
	findings, err := lint.Check(l.options, args...)
	if writeErr := write(c.out, findings); writeErr != nil {
		return writeErr
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(findings, l.fails) {
		return errFindings
	}
	return nil
}

func (l *linting) describe() error {
	if l.spec != "" {
		d := description{spec: l.spec}
		service, err := d.service()
		if err != nil {
			return err
		}
		l.options.Daemon = lint.Describes(service)
	}
	if l.drain != 0 {
		l.options.Daemon.Drain = l.drain
	}
	if l.reload != "" {
		words, err := reloadArgs(l.reload)
		if err != nil {
			return err
		}
		l.options.Daemon.ReloadArgs = words
	}
	return nil
}

func (l *linting) fails(f lint.Finding) bool {
	return f.Severity == lint.Error || l.strict && f.Severity == lint.Warning
}

// ruleIDs are those of all rules.
func ruleIDs() []string {
	var ids []string
	for _, rule := range lint.Rules() {
		ids = append(ids, rule.ID)
	}
	return ids
}

func explainCommand() command {
	return command{
		name:  "explain",
		short: "say why lint has a rule",
		usage: "[RULE...]",
		long: `Explain says what a rule of lint finds, what breaks otherwise and for which
client, and the right lines. Without a rule it lists all rules, each with its
worst severity: in milder cases lint reports a lower one.

    heirloom-units explain
    heirloom-units explain kill-mode
`,
		args: argument{words: ruleIDs},
		prepare: func(*flag.FlagSet) action {
			return func(_ context.Context, args []string, c console) error {
				if len(args) == 0 {
					fmt.Fprintf(c.out, "%-28s %-8s %s\n", "RULE", "AT WORST", "WHAT IT FINDS")
					for _, rule := range lint.Rules() {
						fmt.Fprintf(c.out, "%-28s %-8s %s\n", rule.ID, rule.Severity, rule.Title)
					}
				}
				for i, id := range args {
					rule, err := lint.Explain(id)
					if err != nil {
						return fmt.Errorf("%w; heirloom-units explain lists them", err)
					}
					if i > 0 {
						fmt.Fprintln(c.out)
					}
					explain(c.out, rule)
				}
				return nil
			}
		},
	}
}

// severities are as one says them.
var severities = map[lint.Severity]string{lint.Error: "an error", lint.Warning: "a warning", lint.Note: "a note"}

func explain(w io.Writer, rule lint.Rule) {
	fmt.Fprintf(w, "%s (at worst %s): %s\n\n%s\n", rule.ID, severities[rule.Severity], rule.Title, wrap(rule.Why, 100))
	for _, part := range []struct{ title, text string }{{"Found:", rule.Bad}, {"Right:", rule.Good}} {
		if part.text != "" {
			fmt.Fprintf(w, "\n%s\n    %s\n", part.title, strings.ReplaceAll(strings.TrimSpace(part.text), "\n", "\n    "))
		}
	}
	fmt.Fprintf(w, "\nSee %s.\n", rule.Reference)
}

// wrap breaks lines between words.
func wrap(text string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}
