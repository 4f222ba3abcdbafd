package lint

import (
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/units"
)

// environmentChecks are about variables.
func environmentChecks() []check {
	return []check{
		ofService(ruleEnvironmentReserved, checkEnvironmentReserved),
		ofService(ruleUnitHash, checkUnitHash),
	}
}

var ruleEnvironmentReserved = Rule{
	ID: "environment-reserved", Severity: Error,
	Title: "a variable that systemd or a predecessor sets is set by hand",
	Why: "systemd passes the daemon its sockets in LISTEN_FDS and its kin, the socket to notify in NOTIFY_SOCKET, " +
		"and the watchdog interval in WATCHDOG_USEC. A predecessor passes its successor LISTEN_FDS and " +
		"HEIRLOOM_PREDECESSOR. Environment= and PassEnvironment= come after systemd's own variables, and replace " +
		"them. UnsetEnvironment= removes them. The daemon then looks for sockets that are not there, binds an " +
		"address that systemd holds, or never gets ready.",
	Bad:       "[Service]\nEnvironment=LISTEN_FDS=1",
	Good:      "[Service]\nEnvironment=HELLO_COLOR=1",
	Reference: "sd_listen_fds(3)",
}

var reservedVariables = []string{"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
	"FDSTORE", "MAINPID", "RUNTIME_DIRECTORY", "HEIRLOOM_PREDECESSOR"}

// harmless are those of which the daemon notices that they are not true.
var harmless = []string{"LISTEN_PIDFDID", "HEIRLOOM_PREDECESSOR", "MAINPID"}

func checkEnvironmentReserved(i *inspection, s *subject) {
	for _, setting := range []string{"Environment", "PassEnvironment", "UnsetEnvironment"} {
		words, _ := s.Words("Service", setting)
		for _, word := range words {
			name, _, _ := strings.Cut(word.Text, "=")
			// Of LISTEN_FDNAMES systemd's own counts, but it can be taken away.
			if !slices.Contains(reservedVariables, name) || name == "LISTEN_FDNAMES" && setting != "UnsetEnvironment" {
				continue
			}
			r := remark{
				why: "systemd or a predecessor sets " + name + ", and this replaces its value",
				use: without(word.From.Name, word.From.Value, word.Text),
			}
			if setting == "UnsetEnvironment" {
				r.why = "systemd or a predecessor sets " + name + " for the daemon, and this removes it"
			} else if slices.Contains(harmless, name) {
				r.severity = Note
			}
			i.at(s, word.From, r)
		}
	}
}

var ruleUnitHash = Rule{
	ID: "unit-hash", Severity: Warning,
	Title: "the unit was changed after it was rendered",
	Why: "A rendered unit holds the hash of those of its settings that take a new start, as " + units.HashVariable + "=, and so do the " +
		"processes that systemd started with it. An upgrade compares the two, and reloads if they are the same. " +
		"So if a setting was changed without the hash, the upgrade does not apply it, and nothing reports that. " +
		"Change the description and render it again, or put the change into a drop-in and restart the service " +
		"yourself.",
	Bad:       "[Service]\nEnvironment=" + units.HashVariable + "=0123456789abcdef",
	Good:      "[Service]",
	Reference: "heirloom-units render",
	Unshown:   "what breaks is a package's upgrade, which the tests of packages show",
}

// checkUnitHash looks at the unit's own file: drop-ins are the admin's, who
// restarts.
func checkUnitHash(i *inspection, s *subject) {
	var text strings.Builder
	section := ""
	for _, a := range s.Assignments {
		if a.Path != s.Paths[0] {
			continue
		}
		if a.Section != section {
			section = a.Section
			text.WriteString("[" + section + "]\n")
		}
		text.WriteString(a.Name + "=" + a.Value + "\n")
	}
	hash, held := units.Hash(text.String())
	if held == "" || held == hash {
		return
	}
	for _, a := range s.List("Service", "Environment") {
		if a.Path == s.Paths[0] && strings.Contains(a.Value, units.HashVariable+"="+held) {
			i.at(s, a, remark{
				why: "a setting was changed without it, and an upgrade does not apply the change",
				use: a.Name + "=" + replaceWord(a.Value, units.HashVariable+"="+held, units.HashVariable+"="+hash),
			})
		}
	}
}
