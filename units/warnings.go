package units

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// A Warning is about a field of a description that can be rendered, and is
// probably not what was meant.
type Warning struct {
	Section string // Service
	Field   string
	Value   string
	Why     string // what it leads to, and what to write
}

// String returns the field, its value, and why it is doubtful, in one line.
func (w Warning) String() string {
	return fmt.Sprintf("[%s] %s=%s: %s", w.Section, w.Field, w.Value, w.Why)
}

// Warnings returns what [Service.Render] accepts and the author of the
// description should look at: a daemon that is started by a sub-command and
// reloaded without it, and a unit that is called otherwise than the program.
func (s Service) Warnings() []Warning {
	var warnings []Warning
	warn := func(field, value, why string) {
		warnings = append(warnings, Warning{Section: "Service", Field: field, Value: value, Why: why})
	}
	program := path.Base(s.Program)
	if len(s.Args) > 0 && s.ReloadArgs == nil && !s.NotifyReload && subCommand.MatchString(s.Args[0]) {
		warn("Args", strings.Join(s.Args, " "), fmt.Sprintf("%s looks like a sub-command, and a reload runs `%s reload` without it; "+
			"if the program takes `%s reload`, write ReloadArgs=%s reload (-reload %q), otherwise ReloadArgs=reload",
			s.Args[0], program, program+" "+s.Args[0], s.Args[0], s.Args[0]+" reload"))
	}
	if s.Program != "" && s.base() != program {
		directory := "/run/" + s.base()
		if s.template() {
			directory += "-INSTANCE"
		}
		warn("Name", s.Name, fmt.Sprintf("the program is called %s, so `%s status` in a terminal looks for the service in /run/%s, "+
			"and then among the processes; if several services run this program it needs RUNTIME_DIRECTORY=%s before it",
			program, program, program, directory))
	}
	return warnings
}

// subCommand is what a first argument looks like that is neither a flag nor a
// path, an address or a number.
var subCommand = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]*$`)
