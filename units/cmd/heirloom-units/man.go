package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
)

func manCommand() command {
	return command{
		name:  "man",
		short: "write the manual pages of this command",
		usage: "[-out DIR | PAGE]",
		long: `Man writes the manual pages, which say the same as -help: one of
heirloom-units, one of each of its commands, and heirloom-units-rules with
what heirloom-units explain says of all rules. It prints the page of a command,
or writes all into a directory.

    heirloom-units man lint | man -l -
    heirloom-units man -out /usr/local/share/man
`,
		args: argument{words: func() []string { return append(commandNames(), "rules") }},
		prepare: func(flags *flag.FlagSet) action {
			out := flags.String("out", "", "write all pages below this `directory`, into its man1 and man7")
			return func(_ context.Context, args []string, c console) error {
				switch {
				case *out != "" && len(args) > 0, len(args) > 1:
					return errors.New("give -out for all pages, or the command whose page to print")
				case *out != "":
					return writePages(*out, c)
				}
				name := "heirloom-units"
				if len(args) == 1 {
					name += "-" + args[0]
				}
				for _, p := range pages() {
					if p.name == name {
						_, err := fmt.Fprint(c.out, p.roff())
						return err
					}
				}
				return fmt.Errorf("there is no page %s", name)
			}
		},
	}
}

func writePages(dir string, c console) error {
	for _, p := range pages() {
		path := filepath.Join(dir, fmt.Sprintf("man%d", p.section), fmt.Sprintf("%s.%d", p.name, p.section))
		if err := write(path, p.roff(), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(c.out, path)
	}
	return nil
}

// commandNames are those of all commands.
func commandNames() []string {
	var names []string
	for _, cmd := range commands() {
		names = append(names, cmd.name)
	}
	return names
}

// A page is one of the manual.
type page struct {
	name    string
	section int
	short   string
	body    func(*roff)
}

func pages() []page {
	all := []page{{"heirloom-units", 1, "systemd units of daemons built with heirloom", overviewPage}}
	for _, cmd := range commands() {
		all = append(all, page{"heirloom-units-" + cmd.name, 1, cmd.short, cmd.page})
	}
	return append(all, page{"heirloom-units-rules", 7, "what heirloom-units lint finds, and why", rulesPage})
}

func (p page) roff() string {
	r := &roff{}
	r.line(`.\" Made by heirloom-units man.`)
	r.line(".TH %s %d \"\" \"heirloom %s\" heirloom", escape(strings.ToUpper(p.name)), p.section, escape(currentVersion()))
	r.heading("NAME")
	r.line("%s \\- %s", escape(p.name), escape(p.short))
	p.body(r)
	return r.String()
}

func overviewPage(r *roff) {
	r.heading("SYNOPSIS")
	r.line(".B heirloom\\-units")
	r.line(".IR COMMAND \" [ARGUMENT...]\"")
	r.heading("DESCRIPTION")
	r.text(summary)
	for _, cmd := range commands() {
		r.line(".TP")
		r.line(".BR %s (1)", escape("heirloom-units-"+cmd.name))
		r.text(cmd.short)
	}
	r.exitStatus()
	r.seeAlso("heirloom-units-rules(7)", "systemd.unit(5)", "systemd.service(5)", "systemd.socket(5)")
}

func (cmd command) page(r *roff) {
	flags, _ := cmd.flags()
	r.heading("SYNOPSIS")
	r.line(".B %s", escape("heirloom-units "+cmd.name))
	r.text(cmd.usage)
	r.heading("DESCRIPTION")
	r.prose(cmd.long)
	if hasFlags(flags) {
		r.heading("OPTIONS")
		flags.VisitAll(func(f *flag.Flag) {
			name, usage := flag.UnquoteUsage(f)
			r.line(".TP")
			if name == "" {
				r.line(".B %s", escape("-"+f.Name))
			} else {
				r.line(".BI %s \" %s\"", escape("-"+f.Name), escape(name))
			}
			r.text(usage + defaultOf(f))
		})
	}
	r.exitStatus()
	r.seeAlso("heirloom-units(1)", "heirloom-units-rules(7)")
}

// defaultOf is what the flag package says of a default.
func defaultOf(f *flag.Flag) string {
	switch f.DefValue {
	case "", "false", "0":
		return ""
	}
	if getter, known := f.Value.(flag.Getter); known {
		if _, text := getter.Get().(string); text {
			return fmt.Sprintf(" (default %q)", f.DefValue)
		}
	}
	return fmt.Sprintf(" (default %s)", f.DefValue)
}
