package lint

import (
	"cmp"
	"fmt"
	"slices"
)

// A Finding is one place in a unit that would break something.
type Finding struct {
	Rule     string   `json:"rule"` // its ID, for Explain
	Severity Severity `json:"severity"`
	Unit     string   `json:"unit"` // its name, such as hello.service
	// Path and Line are those of the assignment that counts, which may be in a
	// drop-in. For one that is missing they are those of the header of its
	// section in the unit's own file, or of the first line.
	Path    string `json:"path"`
	Line    int    `json:"line"`
	Section string `json:"section,omitempty"`
	Setting string `json:"setting,omitempty"`
	Value   string `json:"value,omitempty"`
	Missing bool   `json:"missing,omitempty"` // there is no such line
	Why     string `json:"why"`
	// Use is the line to write in its place, or to add if it is missing. Remove
	// says that the line is to go. If there is neither, it takes more than a
	// line.
	Use    string `json:"use,omitempty"`
	Remove bool   `json:"remove,omitempty"`
}

// String returns the finding in one line, as compilers write theirs.
func (f Finding) String() string {
	what := f.Setting + "=" + f.Value
	if f.Missing {
		what = f.Setting + "= is not set"
	}
	if f.Setting == "" {
		what = ""
	}
	if f.Section != "" {
		what = "[" + f.Section + "] " + what
	}
	if what != "" {
		what += ": "
	}
	return fmt.Sprintf("%s:%d: %s: %s%s%s (%s)", f.Path, f.Line, f.Severity, brief(what), f.Why, f.advice(), f.Rule)
}

func (f Finding) advice() string {
	switch {
	case f.Use != "":
		return "; use " + f.Use
	case f.Remove:
		return "; remove it"
	}
	return ""
}

// brief shortens a value that would hide the rest of the line.
func brief(text string) string {
	const most = 100
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "...: "
}

// sorted returns the findings by file, line and rule, each once.
func sorted(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Setting, b.Setting), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Why, b.Why))
	})
	return slices.Compact(findings)
}
