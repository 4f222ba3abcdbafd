package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// reloadChecks are about how a reload is asked for, and whether its failure is
// told.
func reloadChecks() []check {
	return []check{
		ofService(ruleExecReloadMissing, checkExecReloadMissing),
		ofService(ruleExecReloadSignal, checkExecReloadSignal),
		ofService(ruleExecReloadIgnore, checkExecReloadIgnore),
		ofService(ruleExecReloadTwice, checkExecReloadTwice),
		ofService(ruleReloadSignal, checkReloadSignal),
		ofService(ruleTimeoutStart, checkTimeoutStart),
		ofService(ruleRuntimeDirectory, checkRuntimeDirectory),
		ofService(ruleRuntimeDirectoryShared, checkRuntimeDirectoryShared),
		ofService(ruleWorkingDirectory, checkWorkingDirectory),
	}
}

var ruleExecReloadMissing = Rule{
	ID: "exec-reload-missing", Severity: Warning,
	Title: "the service cannot be reloaded",
	Why: "Without ExecReload= `systemctl reload` fails with \"Job type reload is not applicable\", and " +
		"`try-reload-or-restart`, which packages call on an upgrade, restarts. A restart cannot be undone: if the " +
		"new version does not start, the old one is gone. A failed reload leaves the old one serving.",
	Bad:       "[Service]\nExecReload=",
	Good:      "[Service]\nExecReload=/usr/bin/hello reload",
	Reference: "systemd.service(5)",
}

func checkExecReloadMissing(i *inspection, s *subject) {
	if i.kind(s) == "notify-reload" || len(s.commands("ExecReload")) > 0 {
		return
	}
	_, a := s.text("Service", "ExecReload")
	i.atOrUnset(s, "Service", "ExecReload", a, remark{
		why: "an upgrade restarts the service, and a new version that does not start takes the old one with it",
		use: i.reloadCommand(s),
	})
}

// reloadCommand is the line by which the daemon reloads itself, if it can be
// told which program that is.
func (i *inspection) reloadCommand(s *subject) string {
	commands := s.commands("ExecStart")
	if len(commands) == 0 {
		return noAdvice
	}
	daemon, known := commands[0].behindEnv()
	if !known || daemon.shell() || slices.Contains(wrappers, daemon.base()) {
		return noAdvice
	}
	args := i.Daemon.ReloadArgs
	if args == nil {
		args = []string{"reload"}
	}
	line := "ExecReload=" + daemon.program()
	for _, arg := range args {
		line += " " + quoted(arg)
	}
	return line
}

var ruleExecReloadSignal = Rule{
	ID: "exec-reload-signal", Severity: Warning,
	Title: "a failed reload counts as a success",
	Why: "A kill returns when the signal is sent, not when the reload is over. If the new program does not start, " +
		"`systemctl reload` succeeds all the same (seen on 252, 257 and 262), and so does the upgrade of a broken " +
		"package. Only the daemon's status shows that the old version still serves. The daemon's own command " +
		"(lifecycle.Command) asks over the control socket, waits, and fails with the reason.",
	Bad:       "[Service]\nExecReload=\nExecReload=/bin/kill -HUP $MAINPID",
	Good:      "[Service]\nExecReload=\nExecReload=/usr/bin/hello reload",
	Reference: "systemd.service(5)",
}

func checkExecReloadSignal(i *inspection, s *subject) {
	for _, c := range s.commands("ExecReload") {
		if c.signals() {
			i.at(s, c.from, remark{why: "`systemctl reload` succeeds even if the new program did not start", use: i.reloadCommand(s)})
		}
	}
}

var ruleExecReloadIgnore = Rule{
	ID: "exec-reload-ignore", Severity: Warning,
	Title: "a failed reload is ignored",
	Why: "With a dash before the program's path systemd takes any exit status of the reload command for success. " +
		"`systemctl reload`, and the upgrade of a package, then succeed with a new version that did not start.",
	Bad:       "[Service]\nExecReload=\nExecReload=-/usr/bin/hello reload",
	Good:      "[Service]\nExecReload=\nExecReload=/usr/bin/hello reload",
	Reference: "systemd.service(5)",
}

func checkExecReloadIgnore(i *inspection, s *subject) {
	for _, c := range s.commands("ExecReload") {
		if strings.Contains(c.prefix, "-") {
			i.at(s, c.from, remark{
				why: "`systemctl reload` succeeds even if the new program did not start",
				use: c.withoutPrefix("-"),
			})
		}
	}
}

var ruleExecReloadTwice = Rule{
	ID: "exec-reload-twice", Severity: Warning,
	Title: "each reload is two",
	Why: "With Type=notify-reload systemd sends SIGHUP, and then runs ExecReload= as well. On systemd 257 a reload " +
		"is then two handovers, one after the other, and the processes of both drain side by side. ExecReload= " +
		"alone, with Type=notify, waits and reports whether the reload failed. ExecReloadPost= (since 259) may " +
		"run checks after it. Two commands of ExecReload= that both ask for a reload do the same: a line in a " +
		"drop-in adds to the unit's own, unless an empty ExecReload= comes before.",
	Bad:       "[Service]\nType=notify-reload",
	Good:      "[Service]\nType=notify",
	Reference: "systemd.service(5)",
}

func checkExecReloadTwice(i *inspection, s *subject) {
	if i.kind(s) == "notify-reload" && len(s.commands("ExecReload")) > 0 {
		_, a := s.text("Service", "Type")
		i.at(s, a, remark{why: "systemd sends SIGHUP and also runs ExecReload=, and each reload is two", use: "Type=notify"})
		return
	}
	commands := s.commands("ExecReload")
	for n, c := range commands {
		asked := slices.ContainsFunc(commands[:n], func(before command) bool { return before.asks() && before.from != c.from })
		if c.asks() && asked {
			i.at(s, c.from, remark{why: "an ExecReload= before this one asks already, and each reload is two", use: removeIt})
		}
	}
}

// asks reports whether a command of ExecReload= asks for a reload: by a signal,
// or as a daemon's own command.
func (c command) asks() bool { return c.signals() || slices.Contains(c.words[1:], "reload") }

var ruleReloadSignal = Rule{
	ID: "reload-signal", Severity: Error,
	Title: "a reload does something else",
	Why: "With Type=notify-reload systemd asks for a reload by ReloadSignal=, by default SIGHUP. The daemon " +
		"reloads on SIGHUP and SIGUSR2. SIGTERM and SIGINT stop it, SIGUSR1 writes stacks to its log, and systemd " +
		"waits for the reload in vain. Most other signals end a Go program at once.",
	Use:       "ReloadSignal=SIGHUP",
	Bad:       "[Service]\nType=notify-reload\nExecReload=\nReloadSignal=SIGUSR1",
	Good:      "[Service]\nType=notify-reload\nExecReload=\nReloadSignal=SIGHUP",
	Reference: "systemd.service(5)",
}

func checkReloadSignal(i *inspection, s *subject) {
	value, a := s.text("Service", "ReloadSignal")
	name := signalName(value)
	if i.kind(s) == "notify-reload" && value != "" && name != "SIGHUP" && name != "SIGUSR2" {
		i.at(s, a, remark{why: "the daemon reloads on SIGHUP and SIGUSR2 only, and " + name + " stops it or does nothing"})
	}
}

const defaultReloadTimeout = 10 * time.Second // of lifecycle.Options

var ruleTimeoutStart = Rule{
	ID: "timeout-start", Severity: Error,
	Title: "systemd gives up a reload before the daemon does",
	Why: "TimeoutStartSec= also limits reloads. The daemon gives a successor lifecycle.Options.ReloadTimeout, by " +
		"default 10 seconds, and then kills it and serves on. If systemd's time is over first, systemd calls the " +
		"reload failed and kills its command while the handover goes on. systemd 252 and 257 let it go on for " +
		"seconds, so the successor may take over a unit whose reload has just failed. systemd's time has to be " +
		"longer by a good margin.",
	Bad:       "[Service]\nTimeoutStartSec=5s",
	Good:      "[Service]\nTimeoutStartSec=15s",
	Reference: "systemd.service(5)",
}

func checkTimeoutStart(i *inspection, s *subject) {
	reload := cmp.Or(i.Daemon.ReloadTimeout, defaultReloadTimeout)
	timeout, a := s.timeout("TimeoutStartSec")
	// A fifth is what the command itself, and a machine under load, may take.
	if timeout == 0 || timeout >= reload+reload/5 {
		return
	}
	i.atOrUnset(s, "Service", "TimeoutStartSec", a, remark{
		why: fmt.Sprintf("systemd gives up a reload while the daemon, with a ReloadTimeout of %v, still works on it", reload),
		use: "TimeoutStartSec=" + span((reload*3/2 + time.Second - 1).Truncate(time.Second)),
	})
}

var ruleRuntimeDirectory = Rule{
	ID: "runtime-directory", Severity: Warning,
	Title: "the control socket has no directory",
	Why: "The daemon's own commands, including that of ExecReload=, ask it over its control socket, which is in " +
		"the unit's RuntimeDirectory=. Without one it is in /run/NAME for root, if the daemon can write there, " +
		"and otherwise in a directory of the user in /tmp. If /tmp is the unit's own (PrivateTmp=, DynamicUser=) " +
		"`systemctl reload` works, but no process outside finds the socket: `NAME status` and `NAME reload` in a " +
		"terminal report that the service is not running. If /tmp is shared the same is true for root and all " +
		"users but the service's. Another user may also have made a directory of that name: the daemon then has " +
		"no control socket, and reloads fail. They also fail if ProtectSystem=strict lets the daemon write to " +
		"neither. If ExecReload= sends a signal, or there is none, only the commands in a terminal fail, and any " +
		"program that asks `NAME status`, such as monitoring.",
	Bad:       "[Service]\nRuntimeDirectory=",
	Good:      "[Service]\nRuntimeDirectory=hello",
	Reference: "systemd.exec(5)",
}

func checkRuntimeDirectory(i *inspection, s *subject) {
	if words, _ := s.Words("Service", "RuntimeDirectory"); len(words) > 0 || i.Scope == "user" || !s.startsItself() || i.kind(s) == "forking" {
		return
	}
	_, a := s.text("Service", "RuntimeDirectory")
	name := strings.TrimSuffix(s.Name, ".service")
	if s.template() {
		name, _, _ = strings.Cut(name, "@")
		name += "-%i"
	}
	severity, why := s.controlSocket()
	if severity == Note && !s.asksItself() {
		return // the commands find it in /run
	}
	i.atOrUnset(s, "Service", "RuntimeDirectory", a, remark{severity: severity, why: why, use: "RuntimeDirectory=" + name})
}

// controlSocket tells what becomes of the control socket without a
// RuntimeDirectory=.
func (s *subject) controlSocket() (Severity, string) {
	dynamic, _, _ := s.boolean("Service", "DynamicUser")
	user, _ := s.text("Service", "User")
	private, _ := s.text("Service", "PrivateTmp")
	system, _ := s.text("Service", "ProtectSystem")
	own, err := unitfile.ParseBool(private)
	own = dynamic || private == "disconnected" || err == nil && own
	root := !dynamic && (user == "" || user == "root" || user == "0")
	switch {
	case root && system != "strict":
		return Note, "the control socket, which ExecReload= asks, has no directory that systemd makes and removes"
	case own:
		return Warning, "the control socket is in the unit's own /tmp, and `NAME status` and `NAME reload` in a terminal do not find the service"
	case system == "strict" && s.asksItself():
		return Warning, "there may be no directory that the daemon can write the control socket to, and reloads fail then"
	case system == "strict":
		return Warning, "there may be no directory that the daemon can write the control socket to, and `NAME status` and `NAME reload` do not find the service then"
	}
	return Warning, "the control socket is in /tmp, where `NAME status` as root does not find it and others may take its place"
}

// startsItself reports whether ExecStart= is the daemon's own program, with the
// environment that systemd gives it.
func (s *subject) startsItself() bool {
	start := s.commands("ExecStart")
	if len(start) == 0 {
		return false
	}
	daemon, known := start[0].behindEnv()
	return known && !daemon.shell()
}

// asksItself reports whether the daemon's own program reloads it.
func (s *subject) asksItself() bool {
	reload := s.commands("ExecReload")
	if !s.startsItself() || len(reload) == 0 || slices.ContainsFunc(reload, command.signals) {
		return false
	}
	daemon, _ := s.commands("ExecStart")[0].behindEnv()
	asking, known := reload[0].behindEnv()
	return known && daemon.program() == asking.program()
}
