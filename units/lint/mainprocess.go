package lint

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// mainProcessChecks are about which process systemd takes for the main one, and
// whom it believes.
func mainProcessChecks() []check {
	return []check{
		ofService(ruleType, checkType),
		ofService(ruleTypeReady, checkTypeReady),
		ofService(ruleNotifyAccess, checkNotifyAccess),
		ofService(rulePIDFile, checkPIDFile),
		no(ruleRemainAfterExit, "Service", "RemainAfterExit",
			"a main process that exits by itself, without an error, leaves the unit active with no process to serve"),
		ofService(ruleExitType, checkExitType),
		ofService(ruleExecStartShell, checkExecStartShell),
		ofService(ruleExecStartWrapper, checkExecStartWrapper),
		ofService(ruleExecStartArgv0, checkExecStartArgv0),
		ofService(ruleExecStartIgnore, checkExecStartIgnore),
		ofService(ruleExecStartSeveral, checkExecStartSeveral),
		ofService(ruleStandardInput, checkStandardInput),
	}
}

var ruleType = Rule{
	ID: "type", Severity: Error,
	Title: "systemd does not learn which process is the main one",
	Why: "A reload starts the next process beside the old one, and notifies systemd that it is the main process " +
		"from now on. With Type=simple, exec or idle and without NotifyAccess=main (which FileDescriptorStoreMax= " +
		"and WatchdogSec= imply) the daemon has no manager to notify. So it replaces its program in place, as it " +
		"does outside of systemd. Then requests wait for the slowest one, a new program that starts and then " +
		"fails takes the service with it, and a restart cannot keep connections. With Type=forking systemd waits " +
		"for a first process that exits, with Type=oneshot for the service to finish, and with Type=dbus for a " +
		"name on the bus: the start times out. Without Type= it is simple. systemd knows Type=notify-reload since " +
		"version 253, and ignores the line before.",
	Use:       "Type=notify",
	Bad:       "[Service]\nType=exec\nNotifyAccess=none\nFileDescriptorStoreMax=0",
	Good:      "[Service]\nType=notify\nNotifyAccess=main",
	Reference: "systemd.service(5)",
}

var types = []string{"simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"}

// kind returns the type that systemd gives the service, and the assignment, if
// there is one. It is "" if there is nothing to run.
func (i *inspection) kind(s *subject) string {
	known := types
	if i.Systemd < 253 {
		known = slices.DeleteFunc(slices.Clone(types), func(name string) bool { return name == "notify-reload" })
	}
	if kind, _ := s.choice("Service", "Type", known...); kind != "" {
		return kind
	}
	if bus, _ := s.text("Service", "BusName"); bus != "" {
		return "dbus"
	}
	return "simple"
}

func checkType(i *inspection, s *subject) {
	_, a := s.text("Service", "Type")
	kind, severity, why := i.kind(s), Error, ""
	switch kind {
	case "simple", "exec", "idle":
		if s.notifyAccess(i) == "none" {
			severity, why = Warning, "the daemon cannot notify systemd, and reloads in place: a new program that fails takes the service with it"
		}
	case "forking":
		why = "systemd waits for a first process to exit, which a daemon that notifies does not do, and the start times out"
	case "oneshot":
		why = "systemd waits for the service to finish before it counts as started, and the start never ends"
	case "dbus":
		why = "systemd waits for a name on the bus, not for the sockets to be served"
	}
	if a.Value == "notify-reload" && kind != "notify-reload" {
		if why == "" {
			severity = Warning // of an earlier line, or by what else is set
		}
		why = "systemd knows notify-reload since version 253, and takes the service for Type=" + kind + " before"
	}
	if why != "" {
		i.atOrUnset(s, "Service", "Type", a, remark{severity: severity, why: why})
	}
}

// notifyAccess returns whom systemd believes. It is main where that is needed,
// and nothing else is said (service_add_extras of systemd).
func (s *subject) notifyAccess(i *inspection) string {
	access, _ := s.choice("Service", "NotifyAccess", "none", "main", "exec", "all")
	if access != "" && access != "none" {
		return access
	}
	watchdog, _, _ := s.span("Service", "WatchdogSec")
	stored, _, _ := s.number("Service", "FileDescriptorStoreMax")
	if strings.HasPrefix(i.kind(s), "notify") || watchdog > 0 || stored > 0 {
		return "main"
	}
	return "none"
}

var ruleTypeReady = Rule{
	ID: "type-ready", Severity: Warning,
	Title: "systemd calls the service started before it serves",
	Why: "With Type=simple, exec or idle and NotifyAccess=main handovers work. But `systemctl start` returns, and " +
		"units that are ordered after this one start, before the daemon has sent READY=1. A program that starts " +
		"and then fails counts as started: an upgrade that restarts succeeds with a broken version, and later " +
		"connections are refused.",
	Use:       "Type=notify",
	Bad:       "[Service]\nType=exec",
	Good:      "[Service]\nType=notify",
	Reference: "systemd.service(5)",
}

func checkTypeReady(i *inspection, s *subject) {
	kind := i.kind(s)
	_, a := s.text("Service", "Type")
	if (kind == "simple" || kind == "exec" || kind == "idle") && s.notifyAccess(i) != "none" {
		i.atOrUnset(s, "Service", "Type", a, remark{why: "a start succeeds before the daemon is ready, and even if it never is"})
	}
}

var ruleNotifyAccess = Rule{
	ID: "notify-access", Severity: Error,
	Title: "systemd believes processes other than the main one",
	Why: "While a predecessor drains there are two generations in the unit. With NotifyAccess=all systemd believes " +
		"both. It applies the messages of the old process, or of any child of the daemon, to the whole unit, and " +
		"a STOPPING=1 from one of them stops the unit with the successor. With NotifyAccess=exec it also believes " +
		"the commands of ExecReload= and its kin. The daemon needs only main: the process that announces a reload " +
		"is still the main one.",
	Use:       "NotifyAccess=main",
	Bad:       "[Service]\nNotifyAccess=all",
	Good:      "[Service]\nNotifyAccess=main",
	Reference: "systemd.service(5)",
}

func checkNotifyAccess(i *inspection, s *subject) {
	access, a := s.choice("Service", "NotifyAccess", "none", "main", "exec", "all")
	switch access {
	case "all":
		i.at(s, a, remark{why: "systemd applies messages of a predecessor or a child to the unit, and they can stop it"})
	case "exec":
		i.at(s, a, remark{severity: Warning, why: "systemd takes messages of the commands of ExecReload= and its kin for the daemon's"})
	}
}

var rulePIDFile = Rule{
	ID: "pid-file", Severity: Error,
	Title: "systemd takes the main process from a file",
	Why: "systemd watches the file of PIDFile= and takes the process whose number it holds for the main one. After " +
		"a reload that is still the first process, since nothing rewrites the file. The first process becomes the " +
		"main one again, and when it has drained the unit stops and systemd kills the successor. systemd also " +
		"removes the file when the service stops. A daemon that notifies needs no such file.",
	Bad:       "[Service]\nPIDFile=/run/hello/hello.pid",
	Good:      "[Service]\nPIDFile=",
	Reference: "systemd.service(5)",
}

func checkPIDFile(i *inspection, s *subject) {
	if file, a := s.text("Service", "PIDFile"); file != "" {
		i.at(s, a, remark{why: "after a reload the file still names the old process unless it is rewritten, and the unit stops with that process"})
	}
}

var ruleRemainAfterExit = Rule{
	ID: "remain-after-exit", Severity: Note,
	Title: "the unit stays active when no process serves",
	Why: "With RemainAfterExit=yes a service whose main process has exited without an error is still active. The " +
		"daemon sends STOPPING=1 before it exits, which systemd heeds. But a program that exits by itself, by an " +
		"os.Exit(0) somewhere, does not: nothing restarts it, systemd does not watch its socket, and `systemctl " +
		"start` does nothing. A service that runs all the time has no use for this setting.",
	Bad:       "[Service]\nRemainAfterExit=yes",
	Good:      "[Service]\nRemainAfterExit=no",
	Use:       "RemainAfterExit=no",
	Reference: "systemd.service(5)",
}

var ruleExitType = Rule{
	ID: "exit-type", Severity: Note,
	Title: "the unit is called active when no process serves",
	Why: "With ExitType=cgroup a service runs as long as any of its processes does. If the main process crashes " +
		"while a predecessor still drains, systemd calls the unit active until the predecessor has finished its " +
		"last request. No process serves, and monitoring sees nothing. The restart does not come earlier with " +
		"ExitType=main, but the unit's state is true.",
	Use:       "ExitType=main",
	Bad:       "[Service]\nExitType=cgroup",
	Good:      "[Service]\nExitType=main",
	Reference: "systemd.service(5)",
}

func checkExitType(i *inspection, s *subject) {
	if kind, a := s.choice("Service", "ExitType", "main", "cgroup"); kind == "cgroup" {
		i.at(s, a, remark{why: "after a crash the unit is called active until the last predecessor has drained, with no process to serve"})
	}
}

var ruleExecStartShell = Rule{
	ID: "exec-start-shell", Severity: Error,
	Title: "the main process is a shell",
	Why: "If a shell starts the daemon and waits for it, the shell is the main process. Then the sockets are for " +
		"the shell (LISTEN_PID is its pid), and systemd does not believe the daemon's READY=1 and MAINPID= " +
		"(NotifyAccess=main). The daemon binds its addresses itself, if it can, and the start fails or times out. " +
		"SIGTERM ends the shell first. With exec the shell becomes the daemon.",
	Bad:       "[Service]\nExecStart=\nExecStart=/bin/sh -c '/usr/bin/hello -v'",
	Good:      "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec /usr/bin/hello -v'",
	Reference: "systemd.service(5)",
}

var (
	// With redirections alone exec changes those of the shell, which stays.
	shellExec = regexp.MustCompile(`(^|[;&|\s])exec([^\S\n]+\d*[<>]+&?[^\S\n]*[^\s<>;&|]+)*[^\S\n]+\d*[^\s\d<>;&|]`)
	// A word without a slash may be a builtin, a function or a keyword, which
	// exec does not find, or with which it is no command at all.
	oneProgram = regexp.MustCompile(`^((?:[A-Za-z0-9_.+@%][A-Za-z0-9_.+@%-]*)?/[^\s=;&|()<>]*)([^\S\n][^;&|\n]*)?$`)
)

func checkExecStartShell(i *inspection, s *subject) {
	for _, c := range s.commands("ExecStart") {
		script := c.script()
		if script == "" || shellExec.MatchString(script) {
			continue
		}
		use := noAdvice
		// With more commands than one it has to be seen which is the last, and
		// with a wrapper the daemon is not the main process with exec either.
		if one := oneProgram.FindStringSubmatch(script); one != nil && !staysBefore(one[1]) {
			use = c.withExec(script)
		}
		i.at(s, c.from, remark{why: "the main process is the shell, and systemd does not believe the daemon's messages", use: use})
	}
}

// staysBefore reports whether a program starts others, and stays.
func staysBefore(program string) bool {
	return slices.Contains(shells, path.Base(program)) || slices.Contains(wrappers, path.Base(program))
}

// withExec puts exec before the script, and quotes around both if there are
// none.
func (c command) withExec(script string) string {
	n := slices.Index(c.words, script)
	before, own, after := c.cut(n + 1)
	if own == nil {
		return noAdvice
	}
	raw := own[n]
	switch {
	case raw[0] == '\'' || raw[0] == '"':
		raw = raw[:1] + "exec " + raw[1:]
	case strings.ContainsAny(raw, `\'"`):
		return noAdvice
	default:
		raw = "'exec " + raw + "'"
	}
	return c.from.Name + "=" + strings.Join(slices.Concat(before, own[:n], []string{raw}, after), " ")
}

var ruleExecStartWrapper = Rule{
	ID: "exec-start-wrapper", Severity: Error,
	Title: "a program other than the daemon is the main process",
	Why: "sudo, su, runuser, timeout, start-stop-daemon and container engines start the daemon as a child and " +
		"stay, or exit themselves. Then the daemon is not the main process: sockets are not for it (LISTEN_PID), " +
		"systemd does not believe its READY=1 and MAINPID= (NotifyAccess=main), and the start fails or times out. " +
		"systemd has settings for most of their purposes: User=, TimeoutStopSec=, RuntimeMaxSec=.",
	Bad:       "[Service]\nExecStart=\nExecStart=/usr/bin/sudo -u hello /usr/bin/hello",
	Good:      "[Service]\nExecStart=\nExecStart=/usr/bin/hello",
	Reference: "systemd.exec(5)",
}

var wrappers = []string{"sudo", "su", "runuser", "doas", "timeout", "start-stop-daemon", "daemonize", "daemon", "script", "strace", "ltrace",
	"docker", "podman", "setsid", "flock", "systemd-run"}

func checkExecStartWrapper(i *inspection, s *subject) {
	for _, c := range s.commands("ExecStart") {
		if !slices.Contains(wrappers, c.base()) {
			continue
		}
		use := noAdvice
		if at := slices.IndexFunc(c.words[1:], func(word string) bool { return strings.HasPrefix(word, "/") }); at >= 0 {
			use = c.replace(1 + at)
		}
		i.at(s, c.from, remark{why: c.base() + " is the main process, and systemd does not believe the daemon's messages", use: use})
	}
}

var ruleExecStartArgv0 = Rule{
	ID: "exec-start-argv0", Severity: Warning,
	Title: "the daemon does not know the path it was started by",
	Why: "A reload starts the program again by the path in argv[0]. It resolves the path again, and so finds a new " +
		"file or a moved symbolic link. With an @ before the program's path argv[0] is something else. If that is " +
		"another path, reloads start another program, or fail. heirloom looks for a bare name in $PATH, where " +
		"another program may have it. If $PATH does not have the name either, heirloom uses /proc/self/exe, which " +
		"with a symbolic link to the release is the old version: reloads succeed and change nothing. " +
		"lifecycle.Options.Program in the daemon avoids this.",
	Bad:       "[Service]\nExecStart=\nExecStart=@/usr/bin/hello /usr/libexec/hello -v",
	Good:      "[Service]\nExecStart=\nExecStart=/usr/bin/hello -v",
	Reference: "systemd.service(5)",
}

func checkExecStartArgv0(i *inspection, s *subject) {
	for _, c := range s.commands("ExecStart") {
		if !strings.Contains(c.prefix, "@") || len(c.words) < 2 || c.words[1] == c.words[0] {
			continue
		}
		r := remark{
			why: "a reload starts what argv[0] names, " + brief(c.words[1]),
			use: c.replace(2, strings.ReplaceAll(c.prefix, "@", "")+c.words[0]),
		}
		if !strings.Contains(c.words[1], "/") {
			r.severity = Note
			r.why = "a reload looks for " + brief(c.words[1]) + " in $PATH, and may find the old version, or another program"
		}
		i.at(s, c.from, r)
	}
}

var ruleExecStartIgnore = Rule{
	ID: "exec-start-ignore", Severity: Error,
	Title: "a crash counts as success",
	Why: "With a dash before the program's path systemd takes any exit of the main process for a success, " +
		"including status 2 of a panic and a SIGKILL. Restart=on-failure then does not restart the service: after " +
		"a crash no process serves, and `systemctl status` shows a success.",
	Bad:       "[Service]\nExecStart=\nExecStart=-/usr/bin/hello",
	Good:      "[Service]\nExecStart=\nExecStart=/usr/bin/hello",
	Reference: "systemd.service(5)",
}

func checkExecStartIgnore(i *inspection, s *subject) {
	for _, c := range s.commands("ExecStart") {
		if strings.Contains(c.prefix, "-") && s.restart() != "always" {
			i.at(s, c.from, remark{
				severity: i.afterCrash(),
				why:      "a crash counts as a success, after which Restart=" + s.restart() + " does not restart",
				use:      c.withoutPrefix("-"),
			})
		}
	}
}

var ruleExecStartSeveral = Rule{
	ID: "exec-start-several", Severity: Error,
	Title: "there are several programs to start",
	Why: "Only a service of Type=oneshot may have more than one ExecStart=: systemd refuses to load any other " +
		"(\"Service has more than one ExecStart= setting\"). ExecStart= is a list, and a line in a drop-in adds to " +
		"it. To replace a line, first empty the list with a line ExecStart=.",
	Bad:       "[Service]\nExecStart=/usr/bin/hello -v",
	Good:      "[Service]\nExecStart=\nExecStart=/usr/bin/hello -v",
	Reference: "systemd.service(5)",
}

func checkExecStartSeveral(i *inspection, s *subject) {
	if i.kind(s) == "oneshot" {
		return
	}
	commands := s.commands("ExecStart")
	for n := 1; n < len(commands); n++ {
		i.at(s, commands[n].from, remark{why: "systemd refuses a service with two of them: an empty ExecStart= before it removes the first"})
	}
}

var ruleStandardInput = Rule{
	ID: "standard-input", Severity: Error,
	Title: "the socket is the standard input",
	Why: "StandardInput=socket gives the daemon the accepted connection, or the listener, as its descriptors 0, 1 " +
		"and 2, as inetd did. It needs a socket unit with Accept=yes, or just one listener. The daemon's log goes " +
		"to the client, which breaks the protocol. The successor of a reload does not get the socket. The daemon " +
		"takes its listeners from LISTEN_FDS.",
	Use:       "StandardInput=null",
	Bad:       "[Service]\nStandardInput=socket",
	Good:      "[Service]\nStandardInput=null",
	Reference: "systemd.exec(5)",
}

func checkStandardInput(i *inspection, s *subject) {
	uses := map[string]string{"StandardInput": "null", "StandardOutput": "journal", "StandardError": "journal"}
	for _, name := range []string{"StandardInput", "StandardOutput", "StandardError"} {
		if value, a := s.text("Service", name); value == "socket" {
			i.at(s, a, remark{why: "the daemon's own input or output is the connection, and the protocol is broken", use: name + "=" + uses[name]})
		}
	}
}
