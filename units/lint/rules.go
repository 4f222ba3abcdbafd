package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownRule is matched by the error of [Explain] for an ID that no rule
// has.
var ErrUnknownRule = errors.New("unknown rule")

// Severity says how bad it is what a rule finds.
type Severity string

const (
	Error   Severity = "error"   // breaks requests, or the service
	Warning Severity = "warning" // breaks in some case, which Finding.Why names
	Note    Severity = "note"    // breaks nothing that is known, but is worth knowing
)

// A Rule is one thing that is looked for.
type Rule struct {
	ID       string   // such as "kill-mode"; it never changes its meaning
	Severity Severity // of what it finds, at worst
	Title    string   // what is wrong, in a few words
	Why      string   // a paragraph: what happens, by which message, and to whom
	Use      string   // the line to write; "" where that depends on the unit
	Bad      string   // lines that it finds, with their section
	Good     string   // the same lines put right
	// Reference is where the setting is documented: a manual page.
	Reference string
	// Shown says that a test on a real systemd shows the break and its absence.
	// Else Unshown says why there is none.
	Shown   bool
	Unshown string
}

// Rules returns all rules, sorted by ID.
func Rules() []Rule {
	var rules []Rule
	for _, c := range checks() {
		c.Shown = c.Unshown == ""
		rules = append(rules, c.Rule)
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return rules
}

// Explain returns the rule of that ID. The error matches [ErrUnknownRule].
func Explain(id string) (Rule, error) {
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, fmt.Errorf("%w: %q", ErrUnknownRule, id)
	}
	return rules[i], nil
}

// A check is a rule and how it is looked for.
type check struct {
	Rule
	find func(*inspection)
}

// checks returns all, by what they are about.
func checks() []check {
	return slices.Concat(
		mainProcessChecks(),
		stopChecks(),
		reloadChecks(),
		restartChecks(),
		storeChecks(),
		limitChecks(),
		sandboxChecks(),
		environmentChecks(),
		relationChecks(),
		socketChecks(),
		syntaxChecks(),
	)
}
