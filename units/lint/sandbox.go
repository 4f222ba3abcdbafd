package lint

import (
	"path"
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// sandboxChecks are about what a sandbox takes away that a start, a handover or
// the next version of the program needs.
func sandboxChecks() []check {
	return []check{
		ofService(ruleAddressFamilies, checkAddressFamilies),
		ofService(ruleSystemCalls, checkSystemCalls),
		no(rulePrivatePIDs, "Service", "PrivatePIDs", "the daemon is PID 1 of its own namespace, and cannot hand over to another process"),
		ofService(ruleExecPaths, checkExecPaths),
		ofService(ruleBoundProgram, checkBoundProgram),
		ofService(ruleHiddenRun, checkHiddenRun),
		ofService(rulePrivateNetwork, checkPrivateNetwork),
		ofService(ruleDynamicUser, checkDynamicUser),
		ofService(rulePAMName, checkPAMName),
	}
}

var ruleAddressFamilies = Rule{
	ID: "address-families", Severity: Error,
	Title: "the daemon may not use Unix sockets",
	Why: "All messages to systemd such as READY=1, the control socket and the handover to the next process use " +
		"Unix sockets. A RestrictAddressFamilies= without AF_UNIX makes socket(2) fail (EAFNOSUPPORT): the daemon " +
		"cannot report that it is ready, and the start fails.",
	Bad:       "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_INET AF_INET6",
	Good:      "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
	Reference: "systemd.exec(5)",
}

// allowsFamily reports whether the service may use a family, and which line
// says that it may not (config_parse_address_families).
func (s *subject) allowsFamily(families ...string) (bool, unitfile.Assignment) {
	var last unitfile.Assignment
	set, allowList, listed := false, false, false
	for _, a := range s.All("Service", "RestrictAddressFamilies") {
		value, inverted := strings.CutPrefix(a.Value, "~")
		words := strings.Fields(value)
		switch {
		case a.Value == "":
			set, listed = false, false
			continue
		case a.Value == "none":
			set, allowList, listed, last = true, true, false, a
			continue
		case !set:
			set, allowList, last = true, !inverted, a
		}
		if anyOf(words, families) {
			listed, last = inverted != allowList, a
		}
	}
	return !set || listed == allowList, last
}

func checkAddressFamilies(i *inspection, s *subject) {
	allowed, a := s.allowsFamily("AF_UNIX", "AF_LOCAL")
	if allowed {
		return
	}
	value, inverted := strings.CutPrefix(a.Value, "~")
	words := strings.Fields(value)
	switch {
	case a.Value == "none":
		words = []string{"AF_UNIX"}
	case inverted:
		words = slices.DeleteFunc(words, func(word string) bool { return word == "AF_UNIX" || word == "AF_LOCAL" })
	default:
		words = append([]string{"AF_UNIX"}, words...)
	}
	use := removeIt
	if len(words) > 0 {
		use = a.Name + "=" + a.Value[:len(a.Value)-len(value)] + strings.Join(words, " ")
	}
	i.at(s, a, remark{why: "the daemon cannot report to systemd that it is ready, and the start fails", use: use})
}

var rulePrivatePIDs = Rule{
	ID: "private-pids", Severity: Error,
	Title: "the daemon is alone in its PID namespace",
	Why: "With PrivatePIDs=yes, since systemd 257, the daemon is PID 1 of its own namespace. It cannot start its " +
		"successor as a child of systemd (clone(2) refuses CLONE_PARENT to PID 1), and when PID 1 exits the " +
		"kernel kills all others in the namespace. A successor would die with the process that it replaces. So " +
		"reloads replace the program in place, as in a container: requests wait for the slowest one, and a new " +
		"version that does not start takes the service with it.",
	Use:       "PrivatePIDs=no",
	Bad:       "[Service]\nPrivatePIDs=yes",
	Good:      "[Service]\nPrivatePIDs=no",
	Reference: "systemd.exec(5)",
}

var ruleExecPaths = Rule{
	ID: "exec-paths", Severity: Error,
	Title: "the service may not execute the next version of the program",
	Why: "If ExecPaths= names a file, it allows the file that exists when the service starts: systemd mounts it " +
		"over itself. A package installs the new version under the same name as a new file, which is not that " +
		"mount, and NoExecPaths= forbids it. Each reload after an upgrade then fails with EACCES. A directory in " +
		"ExecPaths= allows the files that are in it at the time of the reload.",
	Bad:       "[Service]\nNoExecPaths=/\nExecPaths=/usr/bin/hello /usr/lib",
	Good:      "[Service]\nNoExecPaths=/\nExecPaths=/usr/bin /usr/lib",
	Reference: "systemd.exec(5)",
}

func checkExecPaths(i *inspection, s *subject) {
	program := s.program()
	_, forbidden := s.covering("NoExecPaths", program)
	file, word := s.covering("ExecPaths", program)
	if program == "" || forbidden == nil {
		return
	}
	if word != nil && file == program {
		prefix := word.Text[:len(word.Text)-len(strings.TrimLeft(word.Text, "-+"))]
		i.at(s, word.From, remark{
			why: "after an upgrade the program is another file, and reloads fail with EACCES",
			use: "ExecPaths=" + replaceWord(word.From.Value, word.Text, prefix+path.Dir(program)),
		})
	}
}

// program is what ExecStart= runs, if that is a path, and "" otherwise.
func (s *subject) program() string {
	commands := s.commands("ExecStart")
	if len(commands) == 0 {
		return ""
	}
	daemon, known := commands[0].behindEnv()
	if !known || !strings.HasPrefix(daemon.program(), "/") {
		return ""
	}
	return path.Clean(daemon.program())
}

// covering returns the longest of the paths in a list that is the file or a
// folder that it is in, and the word that says so, or "" and nil.
func (s *subject) covering(setting, file string) (longest string, by *unitfile.Word) {
	words, _ := s.Words("Service", setting)
	for _, word := range words {
		folder := path.Clean(strings.TrimLeft(word.Text, "-+"))
		if within(file, folder) && len(folder) >= len(longest) {
			longest, by = folder, &word
		}
	}
	return longest, by
}

var ruleBoundProgram = Rule{
	ID: "bound-program", Severity: Error,
	Title: "the service keeps the version of the program that it was started with",
	Why: "A bind mount of a single file from elsewhere shows the file that existed when the service started. A " +
		"package installs the new version as a new file, which the service does not see. Each reload starts the " +
		"old version again, and reports success. A bind mount of the directory shows the files that are in it at " +
		"the time of the reload. A mount of a file over itself is harmless: the kernel removes it when the file " +
		"is replaced.",
	Bad:       "[Service]\nBindReadOnlyPaths=/opt/hello/hello:/usr/bin/hello",
	Good:      "[Service]\nBindReadOnlyPaths=/opt/hello:/usr/bin",
	Reference: "systemd.exec(5)",
}

func checkBoundProgram(i *inspection, s *subject) {
	program := s.program()
	for _, b := range s.binds() {
		if program != "" && path.Clean(b.destination) == program && path.Clean(b.source) != program {
			i.at(s, b.from, remark{
				why: "the service sees the old version of the program after an upgrade, and reloads change nothing",
				use: b.from.Name + "=" + replaceWord(b.from.Value, b.word, path.Dir(b.source)+folderAt(b)),
			})
		}
	}
}

// folderAt is the destination's folder after a colon, if it is another than the
// source's.
func folderAt(b bind) string {
	if path.Dir(b.source) == path.Dir(b.destination) {
		return ""
	}
	return ":" + path.Dir(b.destination)
}

// A bind is a mount that BindPaths= or BindReadOnlyPaths= asks for.
type bind struct {
	source, destination string
	word                string // that says so
	from                unitfile.Assignment
}

func (s *subject) binds() []bind {
	var binds []bind
	for _, setting := range []string{"BindPaths", "BindReadOnlyPaths"} {
		words, _ := s.Words("Service", setting)
		for _, word := range words {
			parts := strings.Split(strings.TrimPrefix(word.Text, "-"), ":")
			b := bind{source: parts[0], destination: parts[0], word: word.Text, from: word.From}
			if len(parts) > 1 {
				b.destination = parts[1]
			}
			binds = append(binds, b)
		}
	}
	return binds
}

var ruleHiddenRun = Rule{
	ID: "hidden-run", Severity: Error,
	Title: "the daemon does not see systemd's socket",
	Why: "The daemon sends its messages to systemd to the socket in NOTIFY_SOCKET, /run/systemd/notify. If " +
		"InaccessiblePaths= or TemporaryFileSystem= hides the socket, READY=1 is lost and the start times out. " +
		"BindReadOnlyPaths=/run/systemd/notify shows it again.",
	Bad:       "[Service]\nInaccessiblePaths=/run/systemd",
	Good:      "[Service]\nInaccessiblePaths=/run/dbus",
	Reference: "systemd.exec(5)",
}

const notifySocket = "/run/systemd/notify"

func checkHiddenRun(i *inspection, s *subject) {
	if slices.ContainsFunc(s.binds(), func(b bind) bool { return within(notifySocket, b.destination) }) || i.Scope == "user" {
		return
	}
	for _, setting := range []string{"InaccessiblePaths", "InaccessibleDirectories", "TemporaryFileSystem"} {
		words, _ := s.Words("Service", setting)
		for _, word := range words {
			folder, _, _ := strings.Cut(strings.TrimLeft(word.Text, "-+"), ":")
			if strings.HasPrefix(folder, "/") && within(notifySocket, folder) {
				i.at(s, word.From, remark{why: "systemd never learns that the daemon is ready: " + notifySocket + " is hidden"})
			}
		}
	}
}

var rulePrivateNetwork = Rule{
	ID: "private-network", Severity: Warning,
	Title: "no client reaches the service",
	Why: "With PrivateNetwork=yes the daemon is alone in its own network. Sockets that systemd hands over work " +
		"there, as they belong to the machine's network. Sockets that the daemon binds itself do not: it starts, " +
		"reports that it serves, and every connection is refused. This unit has no socket unit, and may use the " +
		"Internet's address families.",
	Bad:       "[Service]\nPrivateNetwork=yes",
	Good:      "[Service]\nPrivateNetwork=no",
	Use:       "PrivateNetwork=no",
	Reference: "systemd.exec(5)",
}

func checkPrivateNetwork(i *inspection, s *subject) {
	private, a, _ := s.boolean("Service", "PrivateNetwork")
	internet, _ := s.allowsFamily("AF_INET", "AF_INET6")
	joined := len(s.All("Unit", "JoinsNamespaceOf")) > 0
	if private && internet && !joined && len(i.sockets) == 0 && len(i.missing) == 0 {
		i.at(s, a, remark{why: "there is no socket unit, and no client reaches an address that the daemon binds itself"})
	}
}

var ruleDynamicUser = Rule{
	ID: "dynamic-user", Severity: Warning,
	Title: "files belong to a number that other services may get",
	Why: "With DynamicUser=yes the daemon's user has a number that other services may get while the daemon does " +
		"not run. The files that it makes below ReadWritePaths= stay, with that number. After the next start they " +
		"may belong to another service, and the daemon cannot open its own. systemd changes StateDirectory= and " +
		"its kin to the new number at each start, and a User= keeps its number for ever.",
	Bad:       "[Service]\nDynamicUser=yes\nReadWritePaths=/srv/hello",
	Good:      "[Service]\nDynamicUser=yes\nStateDirectory=hello",
	Reference: "systemd.exec(5)",
}

func checkDynamicUser(i *inspection, s *subject) {
	dynamic, _, _ := s.boolean("Service", "DynamicUser")
	words, _ := s.Words("Service", "ReadWritePaths")
	if dynamic && len(words) > 0 {
		i.at(s, words[0].From, remark{why: "with DynamicUser=yes the daemon's files there belong to another user after the next start",
			use: "StateDirectory=" + path.Base(words[0].Text)})
	}
}

var rulePAMName = Rule{
	ID: "pam-name", Severity: Warning,
	Title: "a session of PAM ends with the first process",
	Why: "With PAMName= systemd starts a process, (sd-pam), as a child of the main process, which closes the PAM " +
		"session when its parent exits. A reload replaces the main process. The session is closed, and its " +
		"resources (mounts, keys, limits of logind) are taken away, while the successor serves. If the PAM " +
		"service has pam_systemd, the main process is also moved out of the unit.",
	Bad:       "[Service]\nPAMName=login",
	Good:      "[Service]\nPAMName=",
	Reference: "systemd.exec(5)",
}

func checkPAMName(i *inspection, s *subject) {
	if name, a := s.text("Service", "PAMName"); name != "" {
		i.at(s, a, remark{why: "the session is closed when the first reload ends the process that it was opened for"})
	}
}
