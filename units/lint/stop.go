package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/drainbudget"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// stopChecks are about which processes are signalled when the service stops, by
// what, and how long they have.
func stopChecks() []check {
	return []check{
		ofService(ruleKillMode, checkKillMode),
		ofService(ruleKillSignal, func(i *inspection, s *subject) { checkSignal(i, s, "KillSignal") }),
		ofService(ruleRestartKillSignal, func(i *inspection, s *subject) { checkSignal(i, s, "RestartKillSignal") }),
		ofService(ruleSendSIGKILL, checkSendSIGKILL),
		no(ruleSendSIGHUP, "Service", "SendSIGHUP", "a stop sends SIGHUP as well, and if the daemon sees that first a handover starts"),
		ofService(ruleExecStop, checkExecStop),
		ofService(ruleTimeoutStop, checkTimeoutStop),
		ofService(ruleTimeoutStopInfinite, checkTimeoutStopInfinite),
		ofService(ruleRefuseManual, checkRefuseManual),
		no(ruleStopWhenUnneeded, "Unit", "StopWhenUnneeded", "systemd stops the service as soon as no other unit wants it"),
		ofService(ruleRuntimeMax, checkRuntimeMax),
	}
}

var ruleKillMode = Rule{
	ID: "kill-mode", Severity: Error,
	Title: "not every generation gets the stop signal",
	Why: "A stop has to reach every generation: the main process and those that still drain. " +
		"KillMode=control-group, the default, sends SIGTERM to all, waits, and kills the rest after " +
		"TimeoutStopSec=. In an ordinary stop the main process waits for its predecessors. But when it crashes or " +
		"is killed it cannot. With mixed systemd then sends SIGKILL to draining processes, in the middle of their " +
		"requests. systemd 252 does so as well if the stop comes in the middle of a reload. With process it leaves " +
		"them behind, with the ports and files of a service that it calls stopped. With none no process gets a " +
		"signal at all, and every stop and restart leaves them behind.",
	Use:       "KillMode=control-group",
	Bad:       "[Service]\nKillMode=mixed",
	Good:      "[Service]\nKillMode=control-group",
	Reference: "systemd.kill(5)",
}

func checkKillMode(i *inspection, s *subject) {
	why := map[string]string{
		"mixed":   "if the main process crashes, predecessors that drain are killed in the middle of their requests",
		"process": "if the main process crashes or hangs, predecessors that drain are left behind",
		"none":    "no process gets a signal, and all survive",
	}
	mode, a := s.choice("Service", "KillMode", "control-group", "mixed", "process", "none")
	switch mode {
	case "none":
		i.at(s, a, remark{why: why[mode]})
	case "mixed", "process":
		i.at(s, a, remark{severity: Warning, why: why[mode]})
	}
}

var ruleKillSignal = Rule{
	ID: "kill-signal", Severity: Error,
	Title: "a stop does not make the daemon drain",
	Why: "SIGTERM and SIGINT make the daemon finish its work and exit (lifecycle.Options.StopSignals). Any other " +
		"KillSignal= does something else. SIGQUIT and SIGABRT end a Go program at once, with the stacks of all " +
		"goroutines. Most others do so silently. SIGHUP and SIGUSR2 start a reload, and SIGUSR1 writes stacks to " +
		"the log: the service goes on, and systemd kills it after TimeoutStopSec=.",
	Use:       "KillSignal=SIGTERM",
	Bad:       "[Service]\nKillSignal=SIGQUIT",
	Good:      "[Service]\nKillSignal=SIGTERM",
	Reference: "systemd.kill(5)",
}

var ruleRestartKillSignal = Rule{
	ID: "restart-kill-signal", Severity: Error,
	Title: "a restart does not make the daemon drain",
	Why: "RestartKillSignal= replaces KillSignal= when the service is restarted. SIGTERM and SIGINT make the " +
		"daemon hand its connections to the next process. Any other signal ends it at once, or not at all: see " +
		"kill-signal.",
	Use:       "RestartKillSignal=SIGTERM",
	Bad:       "[Service]\nRestartKillSignal=SIGQUIT",
	Good:      "[Service]\nRestartKillSignal=SIGTERM",
	Reference: "systemd.kill(5)",
}

// signalName returns the name of a signal, which systemd takes without SIG as
// well, and as a number.
func signalName(value string) string {
	numbers := map[string]string{
		"1": "SIGHUP", "2": "SIGINT", "3": "SIGQUIT", "6": "SIGABRT", "9": "SIGKILL", "10": "SIGUSR1", "12": "SIGUSR2", "15": "SIGTERM",
	}
	if name := numbers[value]; name != "" {
		return name
	}
	if !strings.HasPrefix(value, "SIG") {
		return "SIG" + value
	}
	return value
}

func checkSignal(i *inspection, s *subject, setting string) {
	value, a := s.text("Service", setting)
	why := "it ends a Go program at once, and its requests with it"
	switch signalName(value) {
	case "SIG", "SIGTERM", "SIGINT":
		return
	case "SIGHUP", "SIGUSR2":
		why = "it starts a reload instead of a stop, and systemd kills the service after TimeoutStopSec="
	case "SIGUSR1", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT":
		why = "it does not stop the daemon, which systemd kills after TimeoutStopSec="
	case "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU":
		why = "it suspends the daemon, which systemd kills after TimeoutStopSec="
	}
	i.at(s, a, remark{why: why})
}

var ruleSendSIGKILL = Rule{
	ID: "send-sigkill", Severity: Warning,
	Title: "a process that does not stop is left behind",
	Why: "With SendSIGKILL=no a process that hangs is never killed: after TimeoutStopSec= systemd calls the " +
		"service failed and leaves the process running, with its sockets. A new start runs beside it. If both " +
		"have the same listeners, half of the clients connect to the process that hangs.",
	Use:       "SendSIGKILL=yes",
	Bad:       "[Service]\nSendSIGKILL=no",
	Good:      "[Service]\nSendSIGKILL=yes",
	Reference: "systemd.kill(5)",
}

func checkSendSIGKILL(i *inspection, s *subject) {
	if yes, a, found := s.boolean("Service", "SendSIGKILL"); found && !yes {
		i.at(s, a, remark{why: "a process that hangs survives the stop, and takes clients from the next one"})
	}
}

var ruleSendSIGHUP = Rule{
	ID: "send-sighup", Severity: Note,
	Title: "a stop asks for a reload",
	Why: "With SendSIGHUP=yes each process of the service gets SIGHUP right after SIGTERM, as shells need it. To " +
		"the daemon SIGHUP is a reload. If both signals arrive while a process does not run, it gets them in the " +
		"order of their numbers, SIGHUP first: the daemon starts a reload in the middle of the stop, and gives it " +
		"up again. It does not need this signal.",
	Use:       "SendSIGHUP=no",
	Bad:       "[Service]\nSendSIGHUP=yes",
	Good:      "[Service]\nSendSIGHUP=no",
	Reference: "systemd.kill(5)",
	Unshown:   "which of the two signals is seen first is chance, and nothing broke when it was SIGHUP",
}

var ruleExecStop = Rule{
	ID: "exec-stop", Severity: Error,
	Title: "the daemon gets two signals",
	Why: "When the commands of ExecStop= are done, systemd sends KillSignal= to all processes of the service. If a " +
		"command has sent a signal itself, the daemon gets two within milliseconds. The second SIGTERM means that " +
		"it should exit at once, and it aborts its requests. Without ExecStop= systemd sends one signal to every " +
		"generation. Where 252 sends a second one, in a stop in the middle of a reload, heirloom does not count it.",
	Bad:       "[Service]\nExecStop=/bin/kill -TERM $MAINPID",
	Good:      "[Service]\nExecStop=",
	Reference: "systemd.service(5)",
}

func checkExecStop(i *inspection, s *subject) {
	for _, c := range s.commands("ExecStop") {
		if c.signals() {
			i.at(s, c.from, remark{why: "systemd's own SIGTERM after it is the second one, which makes the daemon abort its requests"})
		}
	}
}

const defaultTimeout = 90 * time.Second // DefaultTimeoutStopSec= and DefaultTimeoutStartSec=

// timeoutStop returns 0 for none.
func (s *subject) timeoutStop() (time.Duration, unitfile.Assignment) {
	return s.timeout("TimeoutStopSec")
}

// timeout returns 0 if there is no limit, which is what 0 says too
// (config_parse_service_timeout).
func (s *subject) timeout(name string) (time.Duration, unitfile.Assignment) {
	usec, a, found := s.span("Service", name, "TimeoutSec")
	switch {
	case !found:
		return defaultTimeout, a
	case usec > uint64((1<<63-1)/time.Microsecond):
		return 0, a
	}
	return time.Duration(usec) * time.Microsecond, a
}

var ruleTimeoutStop = Rule{
	ID: "timeout-stop", Severity: Error,
	Title: "a stop is shorter than the longest request",
	Why: "A process that stops or was replaced finishes its requests within TimeoutStopSec=, less a tenth (at " +
		"least half a second, at most two). Then it cancels contexts and closes connections, so that systemd need " +
		"not kill, and longer requests are aborted. A daemon with lifecycle.Options.StopExtension asks for more " +
		"time while it waits for something. One with its own DrainTimeout that is longer is killed by systemd " +
		"with SIGKILL.",
	Bad:       "[Service]\nTimeoutStopSec=5s",
	Good:      "[Service]\nTimeoutStopSec=90s",
	Reference: "systemd.service(5)",
}

func checkTimeoutStop(i *inspection, s *subject) {
	timeout, a := s.timeoutStop()
	drain := i.Daemon.Drain
	if drain == 0 || timeout == 0 {
		return
	}
	if given := timeout - drainbudget.Margin(timeout) + i.Daemon.StopExtension; given < drain {
		i.atOrUnset(s, "Service", "TimeoutStopSec", a, remark{
			why: fmt.Sprintf("it leaves %v for requests, and they take up to %v", given, drain),
			use: "TimeoutStopSec=" + span(timeoutFor(drain-i.Daemon.StopExtension)),
		})
	}
}

// timeoutFor returns whole seconds of which the margin leaves as much as asked
// for.
func timeoutFor(drain time.Duration) time.Duration {
	timeout := max(drain.Truncate(time.Second), time.Second)
	for timeout-drainbudget.Margin(timeout) < drain {
		timeout += time.Second
	}
	return timeout
}

// span writes whole seconds.
func span(d time.Duration) string { return fmt.Sprint(int64(d/time.Second), "s") }

var ruleTimeoutStopInfinite = Rule{
	ID: "timeout-stop-infinite", Severity: Warning,
	Title: "a stop may take for ever",
	Why: "With TimeoutStopSec=0 or infinity a drain has no end. One client that never finishes its request holds a " +
		"predecessor for ever, and after each reload another one. A stop never ends, nor does the removal of the " +
		"package or the shutdown of the machine that waits for it. Set the time of the longest request, and " +
		"lifecycle.Options.StopExtension in a daemon that may need more.",
	Use:       "TimeoutStopSec=90s",
	Bad:       "[Service]\nTimeoutStopSec=infinity",
	Good:      "[Service]\nTimeoutStopSec=90s",
	Reference: "systemd.service(5)",
}

func checkTimeoutStopInfinite(i *inspection, s *subject) {
	if timeout, a := s.timeoutStop(); timeout == 0 {
		use := "TimeoutStopSec=90s"
		if drain := i.Daemon.Drain; drain > 0 {
			use = "TimeoutStopSec=" + span(timeoutFor(drain))
		}
		i.at(s, a, remark{why: "one request that never ends holds a stop, and the machine's shutdown, for ever", use: use})
	}
}

var ruleRefuseManual = Rule{
	ID: "refuse-manual", Severity: Error,
	Title: "systemctl may not stop or start the service",
	Why: "With RefuseManualStop=yes `systemctl stop` and `restart` exit with status 4 (\"Operation refused, unit " +
		"may be requested by dependency only\"), and so does `start` with RefuseManualStart=yes. Package managers " +
		"use these commands. An upgrade that needs a new start, and a removal, fail, and the old program runs on.",
	Bad:       "[Unit]\nRefuseManualStop=yes",
	Good:      "[Unit]\nRefuseManualStop=no",
	Reference: "systemd.unit(5)",
}

func checkRefuseManual(i *inspection, s *subject) {
	for _, name := range []string{"RefuseManualStart", "RefuseManualStop"} {
		if yes, a, _ := s.boolean("Unit", name); yes {
			i.at(s, a, remark{why: "systemd refuses systemctl and package managers (exit status 4), also for restarts", use: name + "=no"})
		}
	}
}

var ruleStopWhenUnneeded = Rule{
	ID: "stop-when-unneeded", Severity: Warning,
	Title: "systemd stops the service unasked",
	Why: "With StopWhenUnneeded=yes systemd stops the service as soon as no active unit requires or wants it. No " +
		"unit wants a service that was started by its socket, by hand or by a package manager, so systemd stops " +
		"it at once. The next client starts it again.",
	Use:       "StopWhenUnneeded=no",
	Bad:       "[Unit]\nStopWhenUnneeded=yes",
	Good:      "[Unit]\nStopWhenUnneeded=no",
	Reference: "systemd.unit(5)",
}

var ruleRuntimeMax = Rule{
	ID: "runtime-max", Severity: Note,
	Title: "systemd stops the service after a time",
	Why: "RuntimeMaxSec= counts from when the service became active, over all reloads. When it is over systemd " +
		"stops the service as a failed one. Restart=on-failure or always starts it again, with its connections, " +
		"as a restart does. With another Restart= it stays down, and each time counts for StartLimitBurst=. A " +
		"timer that reloads the service gives a fresh process without any of this.",
	Bad:       "[Service]\nRuntimeMaxSec=1d",
	Good:      "[Service]\nRuntimeMaxSec=infinity",
	Reference: "systemd.service(5)",
}

func checkRuntimeMax(i *inspection, s *subject) {
	if usec, a, found := s.span("Service", "RuntimeMaxSec"); found && usec > 0 && usec != unitfile.Infinity {
		i.at(s, a, remark{why: "systemd then stops the service as a failed one, reloaded or not, and Restart= must start it again"})
	}
}

// anyOf reports whether one of the words is in the list.
func anyOf(words, list []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(list, word) })
}
