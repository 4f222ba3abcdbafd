// Heirloom-units renders, checks and packages the systemd units of a daemon built with heirloom.
//
//	heirloom-units render   write the units for a description
//	heirloom-units lint     find in units what would break a reload, restart or upgrade
//	heirloom-units explain  tell why a rule of lint is there
//	heirloom-units package  write what makes a deb or rpm package of a daemon
//
// `heirloom-units help COMMAND` has the flags of each, and examples.
//
// The exit status is 0, or 1 if lint has found an error (with -strict, or a warning), or 2 if the command could not do what it was asked to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// Exit codes.
const (
	exitFindings = 1 // lint has found an error
	exitFailed   = 2 // the command could not do what it was asked to
)

// errFindings ends lint, which has told what it found.
var errFindings = errors.New("there are findings")

// A command is one of the words after heirloom-units.
type command struct {
	name    string
	short   string
	usage   string // its arguments
	long    string // what it does, and examples
	prepare func(flags *flag.FlagSet) action
}

// An action is what a command does once its flags are known.
type action func(ctx context.Context, args []string, stdout io.Writer) error

func commands() []command {
	return []command{renderCommand(), lintCommand(), explainCommand(), packageCommand()}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, errUsage):
		return exitFailed
	}
	fmt.Fprintln(stderr, "heirloom-units:", err)
	return exitFailed
}

// errUsage says that the flag package has told what is wrong.
var errUsage = errors.New("usage")

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		overview(stderr)
		return errUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(rest) == 0 {
			overview(stdout)
			return nil
		}
		name, rest = rest[0], []string{"-help"}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, rest, stdout, stderr)
		}
	}
	overview(stderr)
	return fmt.Errorf("there is no command %q", name)
}

func (c command) run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("heirloom-units "+c.name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { c.help(flags) }
	act := c.prepare(flags)
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		flags.SetOutput(stdout) // it was asked for
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	return act(ctx, flags.Args(), stdout)
}

func (c command) help(flags *flag.FlagSet) {
	fmt.Fprintf(flags.Output(), "Usage: heirloom-units %s %s\n\n%s", c.name, c.usage, c.long)
	some := false
	flags.VisitAll(func(*flag.Flag) { some = true })
	if some {
		fmt.Fprintln(flags.Output(), "\nFlags:")
		flags.PrintDefaults()
	}
}

func overview(w io.Writer) {
	fmt.Fprint(w, "Heirloom-units renders, checks and packages the systemd units of a daemon built with heirloom.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  heirloom-units %-8s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\n`heirloom-units help COMMAND` has the flags of each, and examples.\n")
}
