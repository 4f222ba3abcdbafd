package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// syntaxChecks are about what systemd ignores.
func syntaxChecks() []check {
	return []check{
		{ruleSyntax, checkSyntax},
		{ruleUnknownSetting, checkUnknownSettings},
		{ruleWrongSection, checkWrongSections},
		{ruleNewerSetting, checkNewerSettings},
		{ruleInvalidValue, checkInvalidValues},
	}
}

var ruleSyntax = Rule{
	ID: "syntax", Severity: Warning,
	Title: "systemd ignores a line",
	Why: "systemd skips a line that is not a setting: one before the first section, one without \"=\", or one whose " +
		"quotes do not match. After a section header that is not closed, or a line that is not UTF-8, it reads no " +
		"further. It starts the service with the rest, and only its log shows that.",
	Bad:       "[Service]\nKillMode control-group",
	Good:      "[Service]\nKillMode=control-group",
	Reference: "systemd.syntax(7)",
}

// wordy are the settings with words that are looked at here.
var wordy = []string{"Environment", "Sockets", "RuntimeDirectory", "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths"}

func checkSyntax(i *inspection) {
	for _, s := range i.subjects() {
		problems := slices.Clone(s.Problems)
		for _, setting := range wordy {
			_, more := s.Words(s.section, setting)
			problems = append(problems, more...)
		}
		for _, p := range problems {
			i.add(s, remark{why: "systemd ignores it: " + p.Text}, Finding{Path: s.show(p.Path), Line: p.Line})
		}
	}
}

var ruleUnknownSetting = Rule{
	ID: "unknown-setting", Severity: Warning,
	Title: "no systemd knows this setting",
	Why: "systemd ignores settings that it does not know, with a line in its log (\"Unknown key name\"), and starts " +
		"the service without them. Capital letters count. It ignores settings that begin with X- silently.",
	Bad:       "[Service]\nKilMode=mixed",
	Good:      "[Service]\nKillMode=control-group",
	Reference: "systemd.directives(7)",
}

// isExtension reports whether systemd ignores the assignment without a word.
func isExtension(a unitfile.Assignment) bool {
	return strings.HasPrefix(a.Section, "X-") || strings.HasPrefix(a.Name, "X-")
}

func checkUnknownSettings(i *inspection) {
	for _, s := range i.subjects() {
		for _, a := range s.Assignments {
			if isExtension(a) || !slices.Contains(s.sections(), a.Section) || i.known.since(a.Section, a.Name) > 0 ||
				i.known.elsewhere(s, a) != "" {
				continue
			}
			r := remark{why: "systemd ignores it: no version knows this setting", use: removeIt}
			if near := i.known.nearest(a.Section, a.Name); near != "" {
				r.why += ", and there is a " + near + "="
				r.use = near + "=" + a.Value
			}
			i.at(s, a, r)
		}
	}
}

// sections are those that systemd reads in a unit of this kind.
func (s *subject) sections() []string { return []string{"Unit", s.section, "Install"} }

var ruleWrongSection = Rule{
	ID: "wrong-section", Severity: Warning,
	Title: "the setting has no effect in this section",
	Why: "systemd looks for each setting in its own section, and ignores it in others with a line in its log. For " +
		"example, StartLimitIntervalSec= belongs in [Unit] and has no effect in [Service]. systemd ignores a " +
		"section that this kind of unit does not have.",
	Bad:       "[Service]\nStartLimitIntervalSec=60s",
	Good:      "[Unit]\nStartLimitIntervalSec=60s\nStartLimitBurst=20",
	Reference: "systemd.unit(5)",
}

func checkWrongSections(i *inspection) {
	for _, s := range i.subjects() {
		for _, a := range s.Assignments {
			if isExtension(a) {
				continue
			}
			other := i.known.elsewhere(s, a)
			if !slices.Contains(s.sections(), a.Section) {
				i.at(s, a, remark{why: fmt.Sprintf("systemd ignores the section [%s] in a unit of this kind", a.Section)})
			} else if i.known.since(a.Section, a.Name) == 0 && other != "" {
				i.at(s, a, remark{why: fmt.Sprintf("systemd ignores it here: it belongs in [%s]", other)})
			}
		}
	}
}

var ruleNewerSetting = Rule{
	ID: "newer-setting", Severity: Note,
	Title: "the oldest systemd that this unit is for does not know the setting",
	Why: "Versions of systemd before the one that brought a setting ignore it, with a line in their log. That does " +
		"no harm if the unit works without it. Make sure that nothing relies on it.",
	Bad:       "[Service]\nExecReloadPost=/usr/bin/true",
	Good:      "[Service]",
	Reference: "systemd.directives(7)",
}

func checkNewerSettings(i *inspection) {
	for _, s := range i.subjects() {
		for _, a := range s.Assignments {
			since := i.known.since(a.Section, a.Name)
			if slices.Contains(s.sections(), a.Section) && since > i.Systemd && !isExtension(a) {
				i.at(s, a, remark{why: fmt.Sprintf("systemd knows it since version %d, and %d ignores it", since, i.Systemd), use: noAdvice})
			}
		}
	}
}

var ruleInvalidValue = Rule{
	ID: "invalid-value", Severity: Warning,
	Title: "systemd ignores the value",
	Why: "systemd ignores a value that it cannot read, with a line in its log (\"Failed to parse\"), and the value " +
		"before, or the default, stays in force. Times are as in systemd.time(7): 20, 20s, 1min 30s. Switches are " +
		"yes or no. Names are in lower case.",
	Bad:       "[Service]\nTimeoutStopSec=20 secs",
	Good:      "[Service]\nTimeoutStopSec=20s",
	Reference: "systemd.time(7)",
}

func oneOf(values ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, value) }
}

// either reports whether a value is one of those that two kinds of settings
// take.
func either(one, two func(string) bool) func(string) bool {
	return func(value string) bool { return one(value) || two(value) }
}

// validators have for settings that are looked at here whether systemd can read
// a value. An empty one takes back others.
func validators() map[string]func(string) bool {
	v := map[string]func(string) bool{
		"NotifyAccess": oneOf("none", "main", "exec", "all"),
		"KillMode":     oneOf("control-group", "mixed", "process", "none"),
		"Restart":      oneOf("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"),
		"ExitType":     oneOf("main", "cgroup"),
		"OOMPolicy":    oneOf("continue", "stop", "kill"),
		"Type":         oneOf(types...),

		"FileDescriptorStorePreserve": either(oneOf("restart", "on-success"), isBool),
		"RuntimeDirectoryPreserve":    either(oneOf("restart"), isBool),
	}
	for _, name := range []string{"Accept", "FlushPending", "ReusePort", "RemoveOnStop", "DynamicUser", "PrivateNetwork", "RemainAfterExit",
		"SendSIGHUP", "SendSIGKILL", "DefaultDependencies", "RefuseManualStart", "RefuseManualStop", "StopWhenUnneeded"} {
		v[name] = isBool
	}
	for _, name := range []string{"TimeoutStopSec", "TimeoutStartSec", "TimeoutSec", "RestartSec", "WatchdogSec", "RuntimeMaxSec",
		"StartLimitIntervalSec"} {
		v[name] = isSpan
	}
	for _, name := range []string{"FileDescriptorStoreMax", "StartLimitBurst", "Backlog", "TriggerLimitBurst"} {
		v[name] = isNumber
	}
	for _, name := range []string{"MemoryMax", "MemoryHigh"} {
		v[name] = isMemory
	}
	return v
}

func checkInvalidValues(i *inspection) {
	valid := validators()
	for _, s := range i.subjects() {
		for _, a := range s.Assignments {
			if a.Name == ignoreSetting {
				i.checkIgnored(s, a)
			}
			if check := valid[a.Name]; check != nil && a.Value != "" && slices.Contains(s.sections(), a.Section) && !check(a.Value) {
				i.at(s, a, remark{why: "systemd cannot read this value, and ignores it", use: removeIt})
			}
		}
	}
}

// checkIgnored reports what the unit does not want to hear of, and never would.
func (i *inspection) checkIgnored(s *subject, a unitfile.Assignment) {
	for _, id := range strings.Fields(a.Value) {
		if _, err := Explain(id); err != nil {
			i.at(s, a, remark{why: "there is no rule " + id, use: without(a.Name, a.Value, id)})
		}
	}
}
