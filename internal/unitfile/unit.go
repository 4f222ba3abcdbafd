package unitfile

import "slices"

// A Unit is what systemd makes of a unit: its own file, or that of its
// template, and then its drop-ins in the order in which they are applied.
type Unit struct {
	// Name is the unit's own, whichever of its names it was looked for by: that
	// of its file, with the instance if the file is a template.
	Name string
	// Aliases are its other names, sorted: links in the folders that lead to
	// its file.
	Aliases []string
	// Paths are the unit's own file, and then the drop-ins, also those that are
	// empty or /dev/null and so hide others. They are without [Places.Root].
	Paths       []string
	Assignments []Assignment
	Problems    []Problem
}

// All returns the assignments of any of the names in the section, in their
// order.
func (u *Unit) All(section string, names ...string) []Assignment {
	var all []Assignment
	for _, a := range u.Assignments {
		if a.Section == section && slices.Contains(names, a.Name) {
			all = append(all, a)
		}
	}
	return all
}

// Last returns the last assignment of any of the names in the section:
// TimeoutStopSec and TimeoutSec, for instance, of which the later one counts.
// That it is empty counts: to most settings it brings back the default. systemd
// passes over a value that it cannot parse, which is not known here; where that
// matters take [Unit.LastValid].
func (u *Unit) Last(section string, names ...string) (last Assignment, found bool) {
	all := u.All(section, names...)
	if len(all) == 0 {
		return Assignment{}, false
	}
	return all[len(all)-1], true
}

// LastValid returns the last assignment that systemd does not pass over: one
// whose value is valid, or any if valid is nil. An empty one takes back those
// before: nothing is found then, and it is returned itself.
func (u *Unit) LastValid(section string, valid func(string) bool, names ...string) (last Assignment, found bool) {
	for _, a := range u.All(section, names...) {
		switch {
		case a.Value == "":
			last, found = a, false
		case valid == nil || valid(a.Value):
			last, found = a, true
		}
	}
	return last, found
}

// List returns the assignments that count of a setting that is a list, such as
// ExecReload or Environment: those after the last empty one.
func (u *Unit) List(section, name string) []Assignment {
	var list []Assignment
	for _, a := range u.All(section, name) {
		if a.Value == "" {
			list = nil
			continue
		}
		list = append(list, a)
	}
	return list
}

// A Word is one of several in a value, see [Split].
type Word struct {
	Text string
	From Assignment
}

// Words returns the words of all assignments in the List, in their order, and a
// problem for each value that cannot be split, of which the words before the
// fault count.
func (u *Unit) Words(section, name string) ([]Word, []Problem) {
	var words []Word
	var problems []Problem
	for _, a := range u.List(section, name) {
		texts, err := Split(a.Value)
		for _, text := range texts {
			words = append(words, Word{Text: text, From: a})
		}
		if err != nil {
			problems = append(problems, Problem{Path: a.Path, Line: a.Line, Text: a.Name + ": " + err.Error()})
		}
	}
	return words, problems
}

// Apply adds a drop-in that is in no file yet, as if it came after all others.
func (u *Unit) Apply(path, text string) { u.add(path, text) }

func (u *Unit) add(path, text string) {
	f := Parse(path, text)
	u.Paths = append(u.Paths, path)
	u.Assignments = append(u.Assignments, f.Assignments...)
	u.Problems = append(u.Problems, f.Problems...)
}
