package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

// ErrNoUnit is matched by the error of [Fix] for an argument that is the path
// of a file.
var ErrNoUnit = errors.New("not the name of a unit")

// A Plan is what it takes to put units right.
type Plan struct {
	DropIns []DropIn // in the order of the units
	Left    []Left   // what they do not put right
}

// A DropIn is a file that overrides lines of a unit: see systemd.unit(5).
type DropIn struct {
	Unit    string // such as hello.service
	Path    string // where it belongs, by which it can be written
	Old     string // its text so far, and "" if there is no such file
	New     string // its text with all changes
	Changes []Change
}

// A Change is what a drop-in does about one setting.
type Change struct {
	Findings []Finding // at least one; all are of this setting
	Lines    []string  // in the section of the findings
}

// Left is a finding that no drop-in puts right.
type Left struct {
	Finding Finding
	Reason  string // why
}

// Fix plans drop-ins that put right what [Check] finds in the units of these
// names, and writes nothing. They belong in the folder in which the
// administrator's own drop-ins are, and come after all that are there, which
// stay as they are, and so do the units' own files. If Fix was used before, the
// file that it planned then keeps its lines and gets more.
//
// A drop-in has only lines after which Check no longer finds what they are
// for, and finds fewer errors and warnings than before. Notes, and findings
// whose remedy is not for a program to choose, are left: a line that mounts,
// opens the sandbox to the network, moves files, or changes an address.
//
// It is for the units of daemons built with heirloom: another daemon does not
// start with Type=notify.
//
// The error is that of Check, with which there is no plan, and matches
// [ErrNoUnit] for an argument that is a path.
func Fix(options Options, args ...string) (Plan, error) {
	l := newLoader(options)
	for _, arg := range args {
		if l.isPath(arg) {
			return Plan{}, fmt.Errorf("%s: it is a file, which can be edited, and %w: a drop-in is for a unit that systemd finds by its name", arg, ErrNoUnit)
		}
	}
	p := planner{options: options, args: args, drafts: map[string]*draft{}, tried: map[string]bool{}}
	if err := p.look(); err != nil {
		return Plan{}, err
	}
	for p.step() {
	}
	return p.plan(), p.err
}

// A planner tries one change after the other, and keeps those that help.
type planner struct {
	options  Options
	args     []string
	findings []Finding // with the drafts
	subjects []*subject
	drafts   map[string]*draft
	tried    map[string]bool
	err      error
}

// look lints the units with the drafts.
func (p *planner) look() (err error) {
	options := p.options
	options.drafts = map[string]string{}
	for unit, d := range p.drafts {
		options.drafts[unit] = d.text()
	}
	p.findings, p.subjects, err = look(options, p.args)
	return err
}

// mostTries is how many changes a step may take, far more than ever follow from
// one another. A remedy that changes a value and does not cure it brings
// another finding each time: without a limit the step would not end.
const mostTries = 32

// step tries to put one finding right, and reports whether there was one. What
// is found only then is put right with it.
func (p *planner) step() bool {
	f, found := p.next(nil)
	if !found || p.err != nil {
		return false
	}
	before := *p
	p.tried = maps.Clone(p.tried)
	p.drafts = cloned(p.drafts)
	for more, tries := f, 0; found && p.err == nil && tries < mostTries; tries++ {
		p.try(more)
		more, found = p.next(before.findings)
	}
	again := slices.ContainsFunc(p.findings, func(other Finding) bool { return identity(other) == identity(f) })
	if p.err == nil && (again || serious(p.findings) >= serious(before.findings)) {
		*p = before
		p.tried[identity(f)] = true
	}
	return true
}

// next returns a finding to put right that was not tried, and is not among
// those that are known.
func (p *planner) next(known []Finding) (Finding, bool) {
	at := slices.IndexFunc(p.findings, func(f Finding) bool {
		return !p.tried[identity(f)] && p.whyLeft(f) == "" &&
			!slices.ContainsFunc(known, func(other Finding) bool { return identity(other) == identity(f) })
	})
	if at < 0 {
		return Finding{}, false
	}
	return p.findings[at], true
}

// try drafts the lines for a finding, and looks again.
func (p *planner) try(f Finding) {
	p.tried[identity(f)] = true
	if p.drafts[f.Unit] == nil {
		p.drafts[f.Unit] = &draft{unit: f.Unit}
	}
	p.drafts[f.Unit].add(f, p.subject(f.Unit).lines(f))
	p.err = p.look()
}

// identity is the same for a finding when another line of the unit has changed.
func identity(f Finding) string {
	return strings.Join([]string{f.Rule, f.Unit, f.Section, f.Setting, f.Value}, "\x00")
}

func serious(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Severity != Note {
			n++
		}
	}
	return n
}

func (p *planner) subject(unit string) *subject {
	return p.subjects[slices.IndexFunc(p.subjects, func(s *subject) bool { return s.Name == unit })]
}

// whyLeft says why a finding is not tried, "" if it is.
func (p *planner) whyLeft(f Finding) string {
	switch {
	case f.Severity == Note:
		return "a note, which breaks nothing"
	case f.Use == "" && !f.Remove:
		return "it takes more than a line"
	}
	return p.subject(f.Unit).byHand(f, p.options.Daemon)
}

// plan returns what came of it.
func (p *planner) plan() Plan {
	var plan Plan
	if p.err != nil {
		return plan
	}
	for _, s := range p.subjects {
		d := p.drafts[s.Name]
		if d == nil || len(d.changes) == 0 {
			continue
		}
		in := DropIn{Unit: s.Name, Changes: d.changes}
		if in.Path, in.Old, p.err = p.place(s); p.err != nil {
			return Plan{}
		}
		in.New = joinTexts(in.Old, d.text())
		plan.DropIns = append(plan.DropIns, in)
		delete(p.drafts, s.Name) // a socket may be in two groups
	}
	for _, f := range p.findings {
		reason := p.whyLeft(f)
		if reason == "" {
			reason = "no drop-in takes this line back: it has to be changed where it is"
		}
		plan.Left = append(plan.Left, Left{Finding: f, Reason: reason})
	}
	return plan
}

// header begins each file that Fix has planned.
const header = "# Made by heirloom-units lint -fix.\n"

func joinTexts(old, more string) string {
	if old == "" {
		return header + "# What each line is for: heirloom-units explain RULE\n" +
			"# To undo it: remove the file, and systemctl daemon-reload\n\n" + more
	}
	return strings.TrimRight(old, "\n") + "\n\n" + more
}

// place returns where the drop-in of a unit belongs, and what is there: in the
// administrator's folder, after all others.
func (p *planner) place(s *subject) (file, old string, err error) {
	last := ""
	for _, other := range s.Paths[1:] {
		if other != draftPath && !isPlanned(s.show(other)) {
			last = max(last, path.Base(other))
		}
	}
	for name := firstName; len(name) < 40; name = "z" + name {
		if name <= last {
			continue
		}
		file = s.show(path.Join(p.folder(), s.Name+".d", name))
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return file, "", nil
		case err != nil:
			return "", "", err
		case strings.HasPrefix(string(text), header):
			return file, string(text), nil
		}
	}
	return "", "", fmt.Errorf("%s: no drop-in comes after %s by its name", s.Name, last)
}

// firstName is the name of the file, with further letters z before it where
// others come later.
const firstName = "zz-heirloom.conf"

// isPlanned reports whether Fix has planned the file.
func isPlanned(file string) bool {
	text, _ := os.ReadFile(file) // one that cannot be read is another's
	return strings.HasPrefix(string(text), header)
}

// folder is the one of the administrator, or of the user.
func (p *planner) folder() string {
	folders := newLoader(p.options).places.Folders
	end := "/systemd/system"
	if p.options.Scope == units.User {
		end = "/systemd/user"
	}
	return folders[slices.IndexFunc(folders, func(folder string) bool { return strings.HasSuffix(filepath.ToSlash(folder), end) })]
}
