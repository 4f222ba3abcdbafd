package lint

import (
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

var ruleSystemCalls = Rule{
	ID: "system-calls", Severity: Error,
	Title: "the filter forbids a system call that a start or a reload needs",
	Why: "A process passes its SystemCallFilter= on to the next. A call that it does not allow ends the process by " +
		"SIGSYS, or fails with the error of SystemCallErrorNumber=. Go needs clone(2) of @process for its " +
		"threads, and does not start without it. A reload starts a process (pipe2(2) of @ipc), and talks to it " +
		"over a socket pair with descriptors in the messages (@network-io): without these calls it fails, or " +
		"kills the process that serves. Large states go in a memfd (memfd_create(2) of @ipc). @system-service has " +
		"all of them. Of the groups that units often exclude again, the daemon does not need @privileged and " +
		"@resources. systemd reads the lines in order: the first one decides whether all lines list allowed calls " +
		"or forbidden ones.",
	Bad:       "[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@process",
	Good:      "[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources",
	Reference: "systemd.exec(5)",
}

// A need is a system call of the daemon, the group that has it, and what it is
// for. The groups are those that `systemd-analyze syscall-filter` of 252, 257
// and 262 lists. futex, mmap and their like are in @default as execve is, and
// no unit removes them.
type need struct{ call, group, what string }

var needs = []need{
	{"execve", implicit, "execute a program"},
	{"clone", "@process", "start a thread or a process"},
	{"tgkill", "@process", "interrupt a thread"},
	{"pipe2", "@ipc", "start the successor of a reload"},
	{"memfd_create", "@ipc", "hand state to the successor"},
	{"socket", "@network-io", "report to systemd that it is ready"},
	{"connect", "@network-io", "ask for a reload"},
	{"bind", "@network-io", "open the control socket"},
	{"listen", "@network-io", "open the control socket"},
	{"accept4", "@network-io", "accept a connection"},
	{"getsockname", "@network-io", "know the sockets that it was handed"},
	{"getsockopt", "@network-io", "know the process at the other end of the handover"},
	{"setsockopt", "@network-io", "set up a connection"},
	{"socketpair", "@network-io", "talk to the successor of a reload"},
	{"sendmsg", "@network-io", "hand connections to the successor"},
	{"recvmsg", "@network-io", "take over connections"},
	{"shutdown", "@network-io", "end a connection"},
	{"dup3", "@basic-io", "give the successor its sockets"},
	{"read", "@basic-io", "read"},
	{"write", "@basic-io", "write"},
	{"fcntl", "@file-system", "duplicate a socket for the successor"},
	{"openat", "@file-system", "open a file"},
	{"epoll_create1", "@io-event", "wait for connections"},
	{"rt_sigaction", "@signal", "catch the signals for a stop or reload"},
}

// implicit is the group that every list of what is allowed begins with.
const implicit = "@default"

// everything are the groups that have all the others of needs.
var everything = []string{"@system-service", "@known"}

func (n need) in(word string) bool {
	name, _, _ := strings.Cut(word, ":") // an error number may follow
	return name == n.call || name == n.group || slices.Contains(everything, name)
}

// A filter is what SystemCallFilter= makes of needs
// (config_parse_syscall_filter, seccomp_parse_syscall_filter).
type filter struct {
	set, allowList bool
	first          unitfile.Assignment
	listed         map[need]unitfile.Assignment // by which line it is on the list
	removed        map[need]unitfile.Assignment // by which it was taken off
}

func (s *subject) systemCallFilter() filter {
	var f filter
	for _, a := range s.All("Service", "SystemCallFilter") {
		if a.Value == "" {
			f = filter{}
			continue
		}
		value, inverted := strings.CutPrefix(a.Value, "~")
		if !f.set {
			f = filter{set: true, allowList: !inverted, first: a,
				listed: map[need]unitfile.Assignment{}, removed: map[need]unitfile.Assignment{}}
			if f.allowList {
				f.add([]string{implicit}, true, a)
			}
		}
		f.add(strings.Fields(value), inverted != f.allowList, a)
	}
	return f
}

func (f *filter) add(words []string, add bool, a unitfile.Assignment) {
	for _, n := range needs {
		if !slices.ContainsFunc(words, n.in) {
			continue
		}
		if add {
			f.listed[n] = a
			delete(f.removed, n)
		} else {
			delete(f.listed, n)
			f.removed[n] = a
		}
	}
}

// denies returns the line by which a call is not allowed.
func (f *filter) denies(n need) (a unitfile.Assignment, denied bool) {
	at, listed := f.listed[n]
	switch {
	case !f.set || listed == f.allowList:
		return a, false
	case listed:
		return at, true
	}
	if at, removed := f.removed[n]; removed {
		return at, true
	}
	return f.first, true
}

// checkSystemCalls reports each line that denies something once.
func checkSystemCalls(i *inspection, s *subject) {
	f := s.systemCallFilter()
	denied := map[unitfile.Assignment][]need{}
	var lines []unitfile.Assignment
	for _, n := range needs {
		a, no := f.denies(n)
		if !no {
			continue
		}
		if len(denied[a]) == 0 {
			lines = append(lines, a)
		}
		denied[a] = append(denied[a], n)
	}
	for _, a := range lines {
		i.at(s, a, remark{why: f.explain(s, denied[a]), use: f.repair(a, denied[a])})
	}
}

func (f *filter) explain(s *subject, missing []need) string {
	var calls []string
	for _, n := range missing[:min(len(missing), 3)] {
		calls = append(calls, n.call)
	}
	list := joined(calls)
	if more := len(missing) - len(calls); more > 0 {
		list += " and others"
	}
	end := "is killed by SIGSYS when it tries to "
	if number, _ := s.text("Service", "SystemCallErrorNumber"); number != "" && number != "kill" {
		end = "fails with " + number + " when it tries to "
	}
	return "without " + list + " the daemon " + end + missing[0].what
}

// repair returns the line without the words that deny, or with what is missing.
func (f *filter) repair(a unitfile.Assignment, missing []need) string {
	value, inverted := strings.CutPrefix(a.Value, "~")
	words := strings.Fields(value)
	if !inverted {
		return a.Name + "=" + strings.Join(append(words, "@system-service"), " ")
	}
	words = slices.DeleteFunc(words, func(word string) bool {
		return slices.ContainsFunc(missing, func(n need) bool { return n.in(word) })
	})
	if len(words) == 0 {
		return removeIt
	}
	return a.Name + "=~" + strings.Join(words, " ")
}
