package lint

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// draftPath is below no root, and stands for the drop-in that is being planned.
const draftPath = "(planned)"

// A draft has what a drop-in is to say about a unit, in the order of the
// findings.
type draft struct {
	unit    string
	changes []Change
}

func cloned(drafts map[string]*draft) map[string]*draft {
	clone := maps.Clone(drafts)
	for unit, d := range clone {
		clone[unit] = &draft{unit: unit, changes: slices.Clone(d.changes)}
	}
	return clone
}

// add adds the lines for a finding. If there are some for this setting, they
// were in view when these were made, which take their place.
func (d *draft) add(f Finding, lines []string) {
	c := Change{Findings: []Finding{f}, Lines: lines}
	same := func(other Change) bool { return other.section() == f.Section && other.setting() == c.setting() }
	i := slices.IndexFunc(d.changes, same)
	if i < 0 {
		d.changes = append(d.changes, c)
		return
	}
	first := d.changes[i].Findings[0]
	if f.Path == draftPath { // what it finds are the lines of before, without what is put right
		f.Path, f.Line, f.Value, f.Missing = first.Path, first.Line, first.Value, first.Missing
	}
	d.changes[i] = Change{Findings: append(slices.Clone(d.changes[i].Findings), f), Lines: lines}
}

func (c Change) section() string { return c.Findings[0].Section }

func (c Change) setting() string {
	setting, _, _ := strings.Cut(c.Lines[0], "=")
	return setting
}

// comment names the rules, and says of a list that it is the whole of it.
func (c Change) comment() string {
	var rules []string
	for _, f := range c.Findings {
		if !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	text := "# " + joined(rules)
	if len(c.Lines) > 1 {
		text += ": all lines of the setting, in place of those in other files"
	}
	return text
}

// text returns the lines, by section.
func (d *draft) text() string {
	var text strings.Builder
	var sections []string
	for _, c := range d.changes {
		if !slices.Contains(sections, c.section()) {
			sections = append(sections, c.section())
		}
	}
	for i, section := range sections {
		if i > 0 {
			text.WriteString("\n")
		}
		text.WriteString("[" + section + "]\n")
		for _, c := range d.changes {
			if c.section() == section {
				text.WriteString(c.comment() + "\n" + strings.Join(c.Lines, "\n") + "\n")
			}
		}
	}
	return text.String()
}

// lists are the settings to which a further line adds, and that an empty one
// empties.
var lists = []string{
	"Environment", "PassEnvironment", "UnsetEnvironment", "RuntimeDirectory", "SystemCallFilter", "RestrictAddressFamilies",
	"RestartPreventExitStatus", "SuccessExitStatus", "BindPaths", "BindReadOnlyPaths", "ExecPaths", "NoExecPaths",
	"InaccessiblePaths", "TemporaryFileSystem", "ReadWritePaths",
	"ExecStart", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost",
}

// removals have the line that brings a default back where an empty value is
// none.
var removals = map[string]string{
	"RuntimeMaxSec": "infinity",
}

// lines returns what a drop-in says to take the advice of a finding.
func (s *subject) lines(f Finding) []string {
	switch {
	case f.Missing && !slices.Contains(lists, f.Setting):
		return []string{f.Use}
	case slices.Contains(lists, f.Setting):
		return s.listLines(f)
	case f.Remove:
		return []string{f.Setting + "=" + removals[f.Setting]}
	}
	return []string{f.Use}
}

// listLines returns the whole list, with the line of the finding replaced, left
// out or added.
func (s *subject) listLines(f Finding) []string {
	lines := []string{f.Setting + "="}
	done := f.Missing
	for _, a := range s.List(f.Section, f.Setting) {
		if !done && a.Line == f.Line && s.show(a.Path) == f.Path {
			done = true
			if f.Use != "" {
				lines = append(lines, f.Use)
			}
			continue
		}
		lines = append(lines, a.Name+"="+a.Value)
	}
	if f.Missing || !done && f.Use != "" {
		lines = append(lines, f.Use)
	}
	if len(lines) == 2 && f.Missing { // there is nothing to empty
		return lines[1:]
	}
	return lines
}

// handmade are rules whose remedy somebody has to choose.
var handmade = map[string]string{
	"accept":                      "with Accept=no the socket starts another service",
	"bound-program":               "to mount a directory hides what is there",
	"dynamic-user":                "the files that are there have to be moved",
	"environment-reserved":        "the list has to be repeated, with the hash that a package's upgrade compares",
	"exec-paths":                  "it allows every program of a directory",
	"exec-start-several":          "only one of the programs is meant",
	"exec-start-wrapper":          "what the other program does takes settings of its own",
	"fd-name":                     "only the daemon's author knows by which name it asks",
	"hidden-run":                  "other paths are hidden by the same line",
	"instance-address":            "clients know the address",
	"pam-name":                    "what the session gives the daemon has to come from elsewhere",
	"private-network":             "it opens the network to the daemon",
	"same-address":                "clients know the address",
	"socket-in-runtime-directory": "clients know the path",
	"socket-install":              "it takes systemctl enable as well",
	"socket-names":                "it is a guess which socket is meant",
	"socket-service":              "only one of the services is meant",
	"sockets-missing":             "the socket may have to be installed",
	"unit-hash":                   "render the unit again",
}

// byHand says why a finding is for somebody to judge, "" if it is not.
func (s *subject) byHand(f Finding, d Daemon) string {
	if why := handmade[f.Rule]; why != "" {
		return why
	}
	if !strings.HasPrefix(f.Setting, "Exec") {
		return ""
	}
	for _, c := range s.commands(f.Setting) {
		if c.from.Value == f.Value && c.script() != "" && f.Rule != "exec-start-shell" {
			return "the shell's script may do more"
		}
	}
	if f.Setting == "ExecReload" && d.ReloadArgs == nil && f.Use != "" && f.Rule != "exec-reload-ignore" {
		for _, c := range s.commands("ExecStart") {
			daemon, _ := c.behindEnv()
			if args := daemon.args(); len(args) > 0 && subCommand.MatchString(args[0]) {
				return args[0] + " may be a sub-command that a reload takes as well: -reload says so"
			}
		}
	}
	return ""
}

// subCommand is what a first argument looks like that is neither a flag nor a
// path, an address or a number.
var subCommand = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]*$`)
