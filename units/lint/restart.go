package lint

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// restartChecks are about whether and how soon the service runs again after a
// crash.
func restartChecks() []check {
	return []check{
		ofService(ruleRestart, checkRestart),
		ofService(ruleRestartPrevent, checkRestartPrevent),
		ofService(ruleRestartSec, checkRestartSec),
		ofService(ruleStartLimit, checkStartLimit),
		ofService(ruleOOMPolicy, checkOOMPolicy),
		ofService(ruleWatchdog, checkWatchdog),
	}
}

var ruleRestart = Rule{
	ID: "restart", Severity: Error,
	Title: "systemd does not restart the service after a crash",
	Why: "After a crash or a kill systemd keeps the sockets and the daemon's stored descriptors for the next " +
		"process, but only if Restart= starts one. The default, no, starts none, and on-success, on-watchdog and " +
		"on-abort are for other exits. A Go program that panics exits with status 2, an ordinary exit to systemd, " +
		"so on-abnormal does not restart it either. Without a socket unit the service is then down until an " +
		"operator starts it, and connections are refused. With one the next client starts it, but its store is " +
		"gone, and with it connections and the listeners that it had bound itself. Until then the unit is failed.",
	Use:       "Restart=on-failure",
	Bad:       "[Service]\nRestart=no",
	Good:      "[Service]\nRestart=on-failure",
	Reference: "systemd.service(5)",
}

// restart returns the value of Restart=.
func (s *subject) restart() string {
	value, _ := s.choice("Service", "Restart", "no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always")
	return cmp.Or(value, "no")
}

// afterCrash is how bad it is that systemd does not restart the service. With a
// socket unit the next client starts it; connections and what was stored are
// lost, and without clients it is down.
func (i *inspection) afterCrash() Severity {
	if len(i.sockets) > 0 {
		return Warning
	}
	return Error
}

func checkRestart(i *inspection, s *subject) {
	_, a := s.text("Service", "Restart")
	why := ""
	switch s.restart() {
	case "always", "on-failure":
		return
	case "on-abnormal", "on-abort":
		why = "a Go program that panics exits with status 2, after which systemd does not restart it"
	default:
		why = "after a crash the service is down until an operator starts it, and connections are refused"
		if len(i.sockets) > 0 {
			why = "after a crash the service is down until a client connects to its socket, and its stored descriptors are lost"
		}
	}
	i.atOrUnset(s, "Service", "Restart", a, remark{severity: i.afterCrash(), why: why})
}

var ruleRestartPrevent = Rule{
	ID: "restart-prevent", Severity: Error,
	Title: "a crash counts as a wanted exit",
	Why: "RestartPreventExitStatus= excludes exit statuses and signals from Restart=. SuccessExitStatus= makes " +
		"them successes, after which Restart=on-failure does nothing. A Go program that panics exits with status " +
		"2, and log.Fatal and most errors of main with 1. A process that the kernel or systemd kills ends by " +
		"SIGKILL, SIGSEGV or SIGABRT. If one of these is listed, no process serves after such a crash. SIGTERM " +
		"and status 0 are successes by default.",
	Bad:       "[Service]\nRestartPreventExitStatus=2",
	Good:      "[Service]\nRestartPreventExitStatus=",
	Reference: "systemd.service(5)",
}

// crashes are what a crashed Go program ends with. FAILURE and so on are
// systemd's names of statuses.
var crashes = map[string]string{
	"1": "an error of main", "FAILURE": "an error of main", "2": "a panic", "INVALIDARGUMENT": "a panic",
	"SIGKILL": "a kill for lack of memory", "SIGABRT": "the watchdog's kill", "SIGSEGV": "a crash", "SIGBUS": "a crash", "SIGILL": "a crash",
}

func checkRestartPrevent(i *inspection, s *subject) {
	for _, name := range []string{"RestartPreventExitStatus", "SuccessExitStatus"} {
		if name == "SuccessExitStatus" && s.restart() != "on-failure" && s.restart() != "on-abnormal" {
			continue
		}
		words, _ := s.Words("Service", name)
		for _, word := range words {
			if what := crashes[word.Text]; what != "" {
				i.at(s, word.From, remark{
					severity: i.afterCrash(),
					why:      fmt.Sprintf("%s ends with %s, and is not followed by a restart", what, word.Text),
					use:      without(name, word.From.Value, word.Text),
				})
			}
		}
	}
}

var ruleRestartSec = Rule{
	ID: "restart-sec", Severity: Warning,
	Title: "after a crash clients wait",
	Why: "systemd waits RestartSec= before it starts the service again. Until then clients wait in the sockets' " +
		"queues, until the queues are full or the clients give up. The listeners that the daemon has bound itself " +
		"are in its store. Without FileDescriptorStoreMax= they are closed, and connections are refused for that " +
		"time. `systemctl restart` does not wait, nor does a reload. The default is 100 ms. For a service that " +
		"crashes again and again use StartLimitBurst= or, since 254, RestartSteps= and RestartMaxDelaySec=, with " +
		"which only repeated restarts take longer.",
	Use:       "RestartSec=200ms",
	Bad:       "[Service]\nRestartSec=30s",
	Good:      "[Service]\nRestartSec=200ms",
	Reference: "systemd.service(5)",
}

func checkRestartSec(i *inspection, s *subject) {
	const (
		felt    = time.Second
		endured = 5 * time.Second
	)
	usec, a, found := s.span("Service", "RestartSec")
	if !found || usec <= uint64(felt/time.Microsecond) {
		return
	}
	r := remark{why: "clients wait that long after each crash, or give up"}
	if stored, _, _ := s.number("Service", "FileDescriptorStoreMax"); len(i.sockets) == 0 && stored == 0 {
		r.why = "connections are refused that long after each crash, since no process keeps the listeners"
	} else if usec <= uint64(endured/time.Microsecond) {
		r.severity = Note
	}
	i.at(s, a, r)
}

var ruleStartLimit = Rule{
	ID: "start-limit", Severity: Warning,
	Title: "a few restarts in a row fail the service, and its sockets with it",
	Why: "systemd refuses to start a service that was started StartLimitBurst= times within " +
		"StartLimitIntervalSec=: by default the sixth start in ten seconds, whether after a crash, by hand or by " +
		"a package. Each restart is a start: right after the first start the fifth restart is one too many, and " +
		"later the sixth. The service is then failed, and so is its socket unit (service-start-limit-hit). " +
		"systemd closes the socket, and connections are refused instead of waiting. The service stays down until " +
		"`systemctl reset-failed` and a start. Reloads do not count.",
	Use:       "StartLimitBurst=20",
	Bad:       "[Unit]\nStartLimitIntervalSec=60s\nStartLimitBurst=3",
	Good:      "[Unit]\nStartLimitIntervalSec=30s\nStartLimitBurst=20",
	Reference: "systemd.unit(5)",
}

const (
	defaultStartInterval = 10 * time.Second
	defaultStartBurst    = 5
)

// startLimit is where a limit comes from. systemd still takes older names in
// [Service].
func (s *subject) startLimit() (interval time.Duration, burst uint64, a unitfile.Assignment) {
	interval, burst = defaultStartInterval, defaultStartBurst
	for _, set := range s.Assignments {
		if set.Section != "Unit" && set.Section != "Service" {
			continue
		}
		switch {
		case set.Name == "StartLimitIntervalSec" && set.Section == "Unit", set.Name == "StartLimitInterval":
			if usec, err := unitfile.ParseSpan(set.Value); err == nil {
				interval = time.Duration(min(usec, uint64((1<<63-1)/time.Microsecond))) * time.Microsecond
			}
		case set.Name == "StartLimitBurst":
			if n, ok := parseNumber(set.Value); ok {
				burst, a = n, set
			}
		}
	}
	return interval, burst, a
}

func checkStartLimit(i *inspection, s *subject) {
	interval, burst, a := s.startLimit()
	if interval == 0 || burst == 0 || burst > defaultStartBurst || interval < time.Second*time.Duration(burst) {
		return
	}
	end := "fails, and connections are refused"
	if len(i.sockets) > 0 {
		end = "fails, also closes the sockets, and connections are refused"
	}
	r := remark{why: fmt.Sprintf("after %d starts in %v, restarts included, the next one %s", burst, interval, end)}
	if a.Line == 0 && interval == defaultStartInterval {
		r.severity = Note
		r.why = "by default " + r.why
	}
	i.atOrUnset(s, "Unit", "StartLimitBurst", a, r)
}

var ruleOOMPolicy = Rule{
	ID: "oom-policy", Severity: Warning,
	Title: "one process without memory ends all processes",
	Why: "If the kernel runs out of memory and kills a process of the service, systemd's OOMPolicy= decides what " +
		"happens to the others. The default, stop, stops the whole service, and with kill the kernel kills all of " +
		"it at once. Two generations share the unit's memory while one drains, so a killed predecessor takes the " +
		"process that serves with it. With continue only the killed process is gone, and if that was the main one " +
		"Restart= applies.",
	Use:       "OOMPolicy=continue",
	Bad:       "[Service]\nOOMPolicy=stop",
	Good:      "[Service]\nOOMPolicy=continue",
	Reference: "systemd.service(5)",
	Unshown:   "it takes the memory controller of cgroup v2, which containers that tests run in often do not have",
}

// checkOOMPolicy minds the default only where the service has a limit of its
// own to run into.
func checkOOMPolicy(i *inspection, s *subject) {
	policy, a := s.choice("Service", "OOMPolicy", "continue", "stop", "kill")
	delegate, _ := s.text("Service", "Delegate")
	switch {
	case policy == "continue":
	case policy != "":
		i.at(s, a, remark{why: "a predecessor that the kernel kills for lack of memory takes the process that serves with it"})
	case s.limited("MemoryMax", "MemoryHigh") && (delegate == "" || delegate == "no"):
		i.atOrUnset(s, "Service", "OOMPolicy", a, remark{
			why: "by default (stop) a predecessor that the kernel kills for lack of memory takes the process that serves with it",
		})
	}
}

// limited reports whether one of the settings is there and means a limit.
func (s *subject) limited(names ...string) bool {
	for _, name := range names {
		if value, _ := s.text("Service", name); value != "" && value != "infinity" {
			return true
		}
	}
	return false
}

var ruleWatchdog = Rule{
	ID: "watchdog", Severity: Warning,
	Title: "the watchdog kills a daemon that is only busy",
	Why: "With WatchdogSec= systemd kills, by SIGABRT, a service whose main process sends nothing for that long. " +
		"The daemon sends twice in that time. A process that has just started, a machine under load or a pause of " +
		"its virtual machine easily delays a message by some hundred milliseconds. Then all requests are lost, in " +
		"a service that was healthy.",
	Use:       "WatchdogSec=30s",
	Bad:       "[Service]\nWatchdogSec=500ms",
	Good:      "[Service]\nWatchdogSec=30s",
	Reference: "systemd.service(5)",
}

func checkWatchdog(i *inspection, s *subject) {
	const least = time.Second
	usec, a, found := s.span("Service", "WatchdogSec")
	if found && usec > 0 && usec < uint64(least/time.Microsecond) {
		i.at(s, a, remark{why: "a busy machine is silent for longer, and systemd kills the daemon and its requests"})
	}
}

// shownBytes writes a size as systemd reads it.
func shownBytes(bytes uint64) string {
	for _, unit := range []struct {
		size uint64
		name string
	}{{1 << 30, "G"}, {1 << 20, "M"}, {1 << 10, "K"}} {
		if bytes >= unit.size && bytes%unit.size == 0 {
			return fmt.Sprint(bytes/unit.size, unit.name)
		}
	}
	return fmt.Sprint(bytes)
}

func joined(words []string) string { return strings.Join(words, ", ") }
