package main

import (
	"fmt"
	"strings"

	"github.com/heirloom-go/heirloom/units/lint"
)

// A roff writes a page in the language of man(7).
type roff struct{ strings.Builder }

func (r *roff) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

func (r *roff) heading(name string) { r.line(".SH %s", name) }

// escape writes text so that it is shown as it is, within a line.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}

// text writes lines that are filled.
func (r *roff) text(text string) {
	for line := range strings.Lines(text) {
		line = escape(strings.TrimSuffix(line, "\n"))
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		r.line("%s", line)
	}
}

// example writes lines that are not.
func (r *roff) example(text string) {
	r.line(".PP")
	r.line(".RS 4")
	r.line(".EX")
	r.text(text)
	r.line(".EE")
	r.line(".RE")
}

// prose writes paragraphs, and as examples those that are indented.
func (r *roff) prose(text string) {
	for i, part := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if example, found := strings.CutPrefix(part, "    "); found {
			r.example(strings.ReplaceAll(example, "\n    ", "\n"))
			continue
		}
		if i > 0 {
			r.line(".PP")
		}
		r.text(part)
	}
}

func (r *roff) exitStatus() {
	r.heading("EXIT STATUS")
	for _, status := range []struct{ code, meaning string }{
		{"0", "The command did what it was asked for."},
		{"1", "Lint has found an error or, with -strict, a warning."},
		{"2", "The command failed."},
	} {
		r.line(".TP")
		r.line(".B %s", status.code)
		r.text(status.meaning)
	}
}

// seeAlso takes pages such as systemd.unit(5).
func (r *roff) seeAlso(pages ...string) {
	r.heading("SEE ALSO")
	for i, page := range pages {
		name, section, _ := strings.Cut(page, "(")
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		r.line(".BR %s (%s%s", escape(name), section, end)
	}
}

// rulesPage has what explain says of all rules.
func rulesPage(r *roff) {
	r.heading("DESCRIPTION")
	r.text("These are the rules of")
	r.line(".BR heirloom\\-units\\-lint (1).")
	r.text("The severity of each is the worst: in milder cases lint reports a lower one.\n" +
		"Found and Right are lines that lint finds, and the same put right.")
	r.heading("RULES")
	for _, rule := range lint.Rules() {
		r.line(".SS %s", escape(rule.ID))
		r.text(fmt.Sprintf("At worst %s: %s.", severities[rule.Severity], rule.Title))
		r.line(".PP")
		r.text(rule.Why)
		for _, part := range []struct{ title, text string }{{"Found:", rule.Bad}, {"Right:", rule.Good}} {
			if part.text != "" {
				r.line(".PP")
				r.text(part.title)
				r.example(strings.TrimSpace(part.text))
			}
		}
		r.line(".PP")
		r.text("See " + rule.Reference + ".")
	}
	r.seeAlso("heirloom-units-lint(1)", "heirloom-units-explain(1)")
}
