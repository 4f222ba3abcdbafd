// Heirloom-units renders, checks and packages the systemd units of a daemon
// built with heirloom.
//
//	heirloom-units render   write the units for a description
//	heirloom-units lint     find mistakes in units that break a reload, restart or upgrade
//	heirloom-units explain  say why lint has a rule
//	heirloom-units package  write the files for a deb or rpm package of a daemon
//
// and completion, man and version are about the command itself.
//
// `heirloom-units help COMMAND` has the flags of each, and examples.
//
// The exit status is 0, or 1 if lint has found an error (with -strict, or a
// warning), or 2 if the command failed.
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
	exitFailed   = 2 // the command failed
)

// errFindings ends lint, which has written its findings.
var errFindings = errors.New("there are findings")

// A command is one of the words after heirloom-units. Its help, its manual page
// and what shells complete are all made of this.
type command struct {
	name    string
	short   string
	usage   string // its arguments
	long    string // what it does, and examples
	args    argument
	values  map[string][]string // of the flags that take one of a few words
	prepare func(flags *flag.FlagSet) action
}

// An argument says what a shell can complete.
type argument struct {
	units bool            // names of systemd's units, and files
	words func() []string // one of these
}

// An action is what a command does once its flags are known.
type action func(ctx context.Context, args []string, c console) error

// A console is where a command reads answers and writes to.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		renderCommand(), lintCommand(), explainCommand(), packageCommand(), completionCommand(), manCommand(), versionCommand(),
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr}))
}

func run(ctx context.Context, args []string, c console) int {
	err := dispatch(ctx, args, c)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, errUsage):
		return exitFailed
	}
	fmt.Fprintln(c.err, "heirloom-units:", err)
	return exitFailed
}

// errUsage says that the flag package has written the error.
var errUsage = errors.New("usage")

func dispatch(ctx context.Context, args []string, c console) error {
	if len(args) == 0 {
		overview(c.err)
		return errUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(rest) == 0 {
			overview(c.out)
			return nil
		}
		name, rest = rest[0], []string{"-help"}
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd.run(ctx, rest, c)
		}
	}
	overview(c.err)
	return fmt.Errorf("unknown command %q", name)
}

func (cmd command) run(ctx context.Context, args []string, c console) error {
	flags, act := cmd.flags()
	flags.SetOutput(c.err)
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		flags.SetOutput(c.out) // it was asked for
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	return act(ctx, flags.Args(), c)
}

// flags returns the command's own, which its action reads.
func (cmd command) flags() (*flag.FlagSet, action) {
	flags := flag.NewFlagSet("heirloom-units "+cmd.name, flag.ContinueOnError)
	flags.Usage = func() { cmd.help(flags) }
	return flags, cmd.prepare(flags)
}

func (cmd command) help(flags *flag.FlagSet) {
	fmt.Fprintf(flags.Output(), "Usage: heirloom-units %s %s\n\n%s", cmd.name, cmd.usage, cmd.long)
	if hasFlags(flags) {
		fmt.Fprintln(flags.Output(), "\nFlags:")
		flags.PrintDefaults()
	}
}

func hasFlags(flags *flag.FlagSet) bool {
	some := false
	flags.VisitAll(func(*flag.Flag) { some = true })
	return some
}

const summary = "Heirloom-units renders, checks and packages the systemd units of a daemon built with heirloom."

func overview(w io.Writer) {
	fmt.Fprint(w, summary+"\n\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  heirloom-units %-10s %s\n", cmd.name, cmd.short)
	}
	fmt.Fprint(w, "\n`heirloom-units help COMMAND` has the flags of each, and examples.\n")
}
