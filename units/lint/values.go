package lint

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func isBool(value string) bool {
	_, err := unitfile.ParseBool(value)
	return err == nil
}

func isSpan(value string) bool {
	_, err := unitfile.ParseSpan(value)
	return err == nil
}

func isNumber(value string) bool {
	_, ok := parseNumber(value)
	return ok
}

// parseNumber reads a whole number as safe_atou of systemd: with 0x for a
// hexadecimal one, and so on. There may be a soft limit before the hard one, as
// in LimitNOFILE=1024:524288, of which the hard one counts: Go raises the soft
// one to it.
func parseNumber(value string) (uint64, bool) {
	if _, hard, found := strings.Cut(value, ":"); found {
		value = hard
	}
	if value == "infinity" {
		return unitfile.Infinity, true
	}
	n, err := strconv.ParseUint(value, 0, 64)
	return n, err == nil && !strings.Contains(value, "_")
}

// within reports whether a path is the folder, or below it.
func within(file, folder string) bool {
	file, folder = path.Clean(file), path.Clean(folder)
	return file == folder || strings.HasPrefix(file, strings.TrimSuffix(folder, "/")+"/")
}

// A command is one that a setting such as ExecStart= runs.
type command struct {
	prefix string // of special characters: see "Command lines" in systemd.service(5)
	words  []string
	from   unitfile.Assignment
}

// commands returns those of a setting, in their order.
func (s *subject) commands(name string) []command {
	var all []command
	for _, a := range s.List("Service", name) {
		for _, text := range cutCommands(a.Value) {
			words, _ := unitfile.Split(text) // those before a fault
			if len(words) > 0 {
				all = append(all, newCommand(words, a))
			}
		}
	}
	return all
}

// cutCommands cuts a value at each semicolon that is a word of its own, and
// makes a plain word of those with a backslash before them (config_parse_exec).
func cutCommands(value string) []string {
	var commands []string
	begun := ""
	for _, word := range rawWords(value) {
		switch word {
		case ";":
			commands, begun = append(commands, begun), ""
		case `\;`:
			begun += ` ";"`
		default:
			begun += " " + word
		}
	}
	return append(commands, begun)
}

func newCommand(words []string, from unitfile.Assignment) command {
	bare := strings.TrimLeft(words[0], "-@:+!|")
	return command{
		prefix: words[0][:len(words[0])-len(bare)],
		words:  append([]string{bare}, words[1:]...),
		from:   from,
	}
}

// behindEnv returns what env runs, which is the process that env has been, or
// else the command itself; false if that takes to know more of env's options.
func (c command) behindEnv() (command, bool) {
	if c.base() != "env" {
		return c, true
	}
	args := c.args()
	for len(args) > 0 && strings.Contains(args[0], "=") && !strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return c, false
	}
	return command{words: args, from: c.from}, true
}

func (c command) program() string { return c.words[0] }

func (c command) base() string { return path.Base(c.words[0]) }

// args are the arguments of the program, without its own name where that is
// given as well.
func (c command) args() []string {
	if strings.Contains(c.prefix, "@") {
		return c.words[min(2, len(c.words)):]
	}
	return c.words[1:]
}

var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"}

func (c command) shell() bool { return slices.Contains(shells, c.base()) }

// script is what a shell is told to run by -c, or "".
func (c command) script() string {
	if !c.shell() {
		return ""
	}
	args := c.args()
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "c") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

var killers = []string{"kill", "pkill", "killall", "killall5", "skill"}

// signals reports whether the command sends a signal to a process, and does no
// more.
func (c command) signals() bool {
	switch {
	case slices.Contains(killers, c.base()):
		return true
	case c.base() == "busybox":
		return len(c.args()) > 0 && slices.Contains(killers, c.args()[0])
	case c.base() == "systemctl":
		return slices.Contains(c.args(), "kill")
	case c.base() == "start-stop-daemon" && !anyOf(c.args(), []string{"--retry", "-R"}): // which waits for the end
		return slices.ContainsFunc(c.args(), func(arg string) bool {
			return arg == "--signal" || strings.HasPrefix(arg, "--signal=") || arg == "--stop" || arg == "-K" || arg == "-s"
		})
	}
	return slices.ContainsFunc(strings.FieldsFunc(c.script(), func(r rune) bool { return strings.ContainsRune(" \t;&|()\n", r) }),
		func(word string) bool { return slices.Contains(killers, path.Base(word)) })
}
