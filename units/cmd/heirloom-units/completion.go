package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"strings"
	"text/template"
)

//go:embed completion/*.tmpl
var completionFiles embed.FS

// shells have a template each, which is given all commands.
var shells = []string{"bash", "zsh", "fish"}

func completionCommand() command {
	return command{
		name:  "completion",
		short: "write what a shell needs to complete this command",
		usage: "bash|zsh|fish",
		long: `Completion writes a script by which a shell completes commands, flags, their
values, rules, and the names of units. Packages install it. Otherwise:

    source <(heirloom-units completion bash)                     (in ~/.bashrc)
    source <(heirloom-units completion zsh)                      (in ~/.zshrc, after compinit)
    heirloom-units completion fish | source                      (in config.fish)
`,
		args: argument{words: func() []string { return shells }},
		prepare: func(*flag.FlagSet) action {
			return func(_ context.Context, args []string, c console) error {
				if len(args) != 1 {
					return errors.New("name one shell: bash, zsh or fish")
				}
				text, err := completion(args[0])
				if err == nil {
					_, err = fmt.Fprint(c.out, text)
				}
				return err
			}
		},
	}
}

func completion(shell string) (string, error) {
	templates := template.Must(template.New("").Funcs(template.FuncMap{
		"quote": quoteFor(shell), "join": strings.Join, "describe": describeForZsh,
	}).ParseFS(completionFiles, "completion/*.tmpl"))
	t := templates.Lookup(shell + ".tmpl")
	if t == nil {
		return "", fmt.Errorf("%s: it is bash, zsh or fish", shell)
	}
	var text strings.Builder
	err := t.Execute(&text, completed())
	return text.String(), err
}

// A completedCommand is what the templates know of a command.
type completedCommand struct {
	Name, Short string
	Flags       []completedFlag
	Words       []string // its arguments
	Units       bool     // its arguments are names of units, and files
}

// A completedFlag takes no value, or one that is a file, a directory, one of
// Words, several of them, or anything.
type completedFlag struct {
	Name, Usage, Value                         string
	TakesValue, File, Directory, Several, Free bool
	Words                                      []string
}

func completed() []completedCommand {
	var all []completedCommand
	for _, cmd := range commands() {
		c := completedCommand{Name: cmd.name, Short: cmd.short, Units: cmd.args.units}
		if cmd.args.words != nil {
			c.Words = cmd.args.words()
		}
		flags, _ := cmd.flags()
		flags.VisitAll(func(f *flag.Flag) { c.Flags = append(c.Flags, completedOf(cmd, f)) })
		all = append(all, c)
	}
	return append(all, completedCommand{Name: "help", Short: "say what a command does", Words: commandNames()})
}

func completedOf(cmd command, f *flag.Flag) completedFlag {
	value, usage := flag.UnquoteUsage(f)
	c := completedFlag{
		Name: f.Name, Usage: usage, Value: value, TakesValue: value != "", Words: cmd.values[f.Name],
		File: value == "file", Directory: value == "directory", Several: value == "rules",
	}
	c.Free = c.TakesValue && c.Words == nil && !c.File && !c.Directory
	return c
}

// quoteFor writes a word that the shell takes as it is.
func quoteFor(shell string) func(string) string {
	quote := strings.NewReplacer("'", `'\''`)
	if shell == "fish" {
		quote = strings.NewReplacer(`\`, `\\`, "'", `\'`)
	}
	return func(word string) string { return "'" + quote.Replace(word) + "'" }
}

// describeForZsh writes what stands between colons or brackets.
func describeForZsh(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}
