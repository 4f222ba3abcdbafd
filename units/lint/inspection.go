package lint

import (
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// An inspection applies all rules to a group.
type inspection struct {
	Options
	group
	known settings
	rule  Rule // that is applied
	found []Finding
}

func inspect(options Options, known settings, g group) []Finding {
	i := inspection{Options: options, group: g, known: known}
	for _, c := range checks() {
		if len(options.Only) > 0 && !slices.Contains(options.Only, c.ID) {
			continue
		}
		i.rule = c.Rule
		c.find(&i)
	}
	return slices.DeleteFunc(i.found, i.ignored)
}

// ignoreSetting holds the IDs of rules that the unit does not want to hear of.
const ignoreSetting = "X-Heirloom-Ignore"

func (i *inspection) ignored(f Finding) bool {
	for _, s := range i.subjects() {
		if s.Name != f.Unit {
			continue
		}
		for _, a := range s.Assignments {
			if a.Name == ignoreSetting && slices.Contains(strings.Fields(a.Value), f.Rule) {
				return true
			}
		}
	}
	return false
}

// A remark is what a finding says beyond its place. What is empty is that of
// the rule.
type remark struct {
	severity Severity
	why, use string
}

// at reports an assignment.
func (i *inspection) at(s *subject, a unitfile.Assignment, r remark) {
	i.add(s, r, Finding{Path: s.show(a.Path), Line: a.Line, Section: a.Section, Setting: a.Name, Value: a.Value})
}

// unset reports that a setting is missing.
func (i *inspection) unset(s *subject, section, name string, r remark) {
	i.add(s, r, Finding{Path: s.show(s.Paths[0]), Line: max(s.headers[section], 1), Section: section, Setting: name, Missing: true})
}

// atOrUnset reports the assignment, or that there is none. What was set and
// then taken back is reported where that was.
func (i *inspection) atOrUnset(s *subject, section, name string, a unitfile.Assignment, r remark) {
	if a.Line > 0 {
		i.at(s, a, r)
	} else {
		i.unset(s, section, name, r)
	}
}

func (i *inspection) add(s *subject, r remark, f Finding) {
	f.Rule, f.Severity, f.Unit, f.Why, f.Use = i.rule.ID, i.rule.Severity, s.Name, r.why, r.use
	if r.severity != "" {
		f.Severity = r.severity
	}
	if f.Why == "" {
		f.Why = i.rule.Title
	}
	if f.Use == "" {
		f.Use = i.rule.Use
	}
	if f.Use == "" && f.Setting != "" && !f.Missing || f.Use == removeIt {
		f.Use, f.Remove = "", true
	}
	if f.Use == noAdvice {
		f.Use = ""
	}
	i.found = append(i.found, f)
}

// Instead of a line to use. A setting without one is to go too.
const (
	removeIt = "-" // the line is to go
	noAdvice = "?" // it takes more than a line
)

// ofService makes a check of what looks at the service.
func ofService(rule Rule, find func(*inspection, *subject)) check {
	return check{rule, func(i *inspection) {
		// A service that ends by itself is none of a daemon, and hears that
		// alone.
		if i.service != nil && (rule.ID == ruleType.ID || i.kind(i.service) != "oneshot") {
			find(i, i.service)
		}
	}}
}

// ofSockets makes a check of what looks at each socket.
func ofSockets(rule Rule, find func(*inspection, *subject)) check {
	return check{rule, func(i *inspection) {
		for _, s := range i.sockets {
			find(i, s)
		}
	}}
}

// no makes a check of a switch that must not be on.
func no(rule Rule, section, name, why string) check {
	return onKind(section, rule, func(i *inspection, s *subject) {
		if yes, a, _ := s.boolean(section, name); yes {
			i.at(s, a, remark{why: why})
		}
	})
}

func onKind(section string, rule Rule, find func(*inspection, *subject)) check {
	if section == "Socket" {
		return ofSockets(rule, find)
	}
	return ofService(rule, find)
}
