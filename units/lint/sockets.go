package lint

import (
	"fmt"
	"path"
	"strings"

	"github.com/heirloom-go/heirloom/internal/reserved"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// socketChecks are about what a socket unit listens on, and how.
func socketChecks() []check {
	return []check{
		no(ruleAccept, "Socket", "Accept", "the daemon gets connections instead of the listener, and one process each"),
		ofSockets(ruleBacklog, checkBacklog),
		no(ruleFlushPending, "Socket", "FlushPending", "systemd closes the connections that wait in the queue during a restart"),
		{ruleFDName, checkFDNames},
		no(ruleRemoveOnStop, "Socket", "RemoveOnStop", "a stop of the socket unit removes a path that the running daemon still listens on"),
		ofSockets(ruleTriggerLimit, checkTriggerLimit),
		ofService(ruleSocketInRuntimeDirectory, checkSocketInRuntimeDirectory),
		no(ruleReusePort, "Socket", "ReusePort", "another listener at the same address gets a part of the clients, unnoticed"),
		{ruleSameAddress, checkSameAddress},
		ofSockets(ruleInstanceAddress, checkInstanceAddress),
	}
}

var ruleAccept = Rule{
	ID: "accept", Severity: Error,
	Title: "systemd accepts the connections",
	Why: "With Accept=yes systemd accepts, and starts an instance of NAME@.service for each connection, as inetd " +
		"did. A daemon that expects a listener cannot accept on a connection, and fails. With Accept=no, the " +
		"default, one process gets the listener, and hands it on.",
	Use:       "Accept=no",
	Bad:       "[Socket]\nAccept=yes",
	Good:      "[Socket]\nAccept=no",
	Reference: "systemd.socket(5)",
}

var ruleBacklog = Rule{
	ID: "backlog", Severity: Warning,
	Title: "the queue is short for a restart",
	Why: "While the service restarts, new connections wait in the listener's queue. When it is full the kernel " +
		"drops further connections, and clients try again after a second, then two, then four. With a small " +
		"Backlog= the slowest hundredth took 1.02 s instead of 25 ms in our tests. The default is the kernel's " +
		"maximum (net.core.somaxconn, 4096).",
	Use:       "Backlog=4096",
	Bad:       "[Socket]\nBacklog=16",
	Good:      "[Socket]\nBacklog=4096",
	Reference: "systemd.socket(5)",
}

func checkBacklog(i *inspection, s *subject) {
	const least = 1024
	if n, a, found := s.number("Socket", "Backlog"); found && n < least {
		i.at(s, a, remark{why: fmt.Sprintf("during a restart only %d connections wait, and others try again a second later", n)})
	}
}

var ruleFlushPending = Rule{
	ID: "flush-pending", Severity: Error,
	Title: "systemd closes connections that wait",
	Why: "With FlushPending=yes systemd empties the sockets before it listens on them again, whenever the service " +
		"has stopped: it accepts all connections that wait in the queue and closes them. Clients that connected " +
		"during a restart or after a crash, and that the next process would have served, get a reset.",
	Use:       "FlushPending=no",
	Bad:       "[Socket]\nFlushPending=yes",
	Good:      "[Socket]\nFlushPending=no",
	Reference: "systemd.socket(5)",
}

var ruleFDName = Rule{
	ID: "fd-name", Severity: Warning,
	Title: "the daemon may not find the socket by its name",
	Why: "The daemon asks for its listeners by name. Without FileDescriptorName= a listener has the name of its " +
		"unit, such as hello.socket. systemd ignores a name with a colon or with characters that are not " +
		"printable ASCII. heirloom, heirloom-control, heirloom-ledger and heirloom- with a number are names of the " +
		"library's own. If two units have the same name, the daemon can tell them apart only by the address, and " +
		"fails to start if that does not fit.",
	Bad:       "[Socket]\nFileDescriptorName=heirloom",
	Good:      "[Socket]\nFileDescriptorName=http",
	Reference: "systemd.socket(5)",
}

func checkFDNames(i *inspection) {
	units := map[string]string{}
	for _, s := range i.sockets {
		value, a := s.text("Socket", "FileDescriptorName")
		other := units[s.fdName()]
		units[s.fdName()] = s.Name
		use := noAdvice
		if name := strings.TrimSuffix(s.Name, ".socket"); !reserved.Is(name) {
			use = "FileDescriptorName=" + name
		}
		switch {
		case value == "" && len(i.Daemon.Sockets) == 0:
			i.atOrUnset(s, "Socket", "FileDescriptorName", a, remark{severity: Note, why: "the daemon has to ask for it as " + s.Name, use: use})
		case value == "":
			// Whether that is the right one the rule socket-names tells.
		case !isFDName(s.expand(value)):
			i.at(s, a, remark{why: "systemd ignores this name, and the socket is named " + s.Name, use: use})
		case reserved.Is(s.expand(value)):
			i.at(s, a, remark{severity: Error, why: "the name is one of the library's own, and Listen refuses it", use: use})
		case other != "":
			i.at(s, a, remark{why: other + " has the same name, and the daemon can tell them apart by the address only", use: use})
		}
	}
}

var ruleRemoveOnStop = Rule{
	ID: "remove-on-stop", Severity: Note,
	Title: "a stop of the socket unit removes its path",
	Why: "With RemoveOnStop=yes systemd removes the path of a Unix socket or FIFO when the socket unit stops. A " +
		"running service still listens, but no client can connect until the socket unit is started, for which the " +
		"service has to stop. Without it the path stays, and a start of the socket unit replaces it.",
	Use:       "RemoveOnStop=no",
	Bad:       "[Socket]\nRemoveOnStop=yes",
	Good:      "[Socket]\nRemoveOnStop=no",
	Reference: "systemd.socket(5)",
}

var ruleTriggerLimit = Rule{
	ID: "trigger-limit", Severity: Warning,
	Title: "a few failed starts close the socket",
	Why: "Whenever clients wait and the service does not run, the socket starts it. After TriggerLimitBurst= " +
		"starts within TriggerLimitIntervalSec= (20 in 2 s by default) the socket unit fails (trigger-limit-hit), " +
		"and its listener is closed. If a service fails to start for a moment, for lack of a database, all " +
		"connections are then refused until an operator starts the socket again.",
	Use:       "TriggerLimitBurst=20",
	Bad:       "[Socket]\nTriggerLimitBurst=2",
	Good:      "[Socket]\nTriggerLimitBurst=20",
	Reference: "systemd.socket(5)",
}

func checkTriggerLimit(i *inspection, s *subject) {
	const usual = 20
	if n, a, found := s.number("Socket", "TriggerLimitBurst"); found && n > 0 && n < usual {
		i.at(s, a, remark{why: "after so few starts in a row systemd closes the socket, and all connections are refused"})
	}
}

// listens are the settings that make a socket unit listen, those of sockets
// first.
var listens = []string{"ListenStream", "ListenDatagram", "ListenSequentialPacket", "ListenFIFO", "ListenSpecial", "ListenNetlink",
	"ListenMessageQueue", "ListenUSBFunction"}

// addresses returns the assignments that make the socket listen.
func (s *subject) addresses() []unitfile.Assignment {
	var all []unitfile.Assignment
	for _, a := range s.All("Socket", listens...) {
		if a.Value == "" {
			all = nil // of any of them
			continue
		}
		all = append(all, a)
	}
	return all
}

var ruleSocketInRuntimeDirectory = Rule{
	ID: "socket-in-runtime-directory", Severity: Error,
	Title: "the service's stop removes the socket's path",
	Why: "systemd removes the directories of RuntimeDirectory= when the service stops, restarts or crashes, with " +
		"all files in them. If the path of the socket unit is in there it is gone then. systemd still listens, " +
		"but no client finds the socket until the socket unit is started again.",
	Bad:       "[Socket]\nListenStream=/run/hello/http.sock",
	Good:      "[Socket]\nListenStream=/run/hello-http.sock",
	Reference: "systemd.exec(5)",
}

func checkSocketInRuntimeDirectory(i *inspection, s *subject) {
	if s.preserved() {
		return
	}
	for _, d := range s.runtimeDirectories() {
		for _, socket := range i.sockets {
			for _, a := range socket.addresses() {
				file := socket.expand(a.Value)
				if strings.HasPrefix(file, "/") && within(file, "/run/"+s.expand(d.name)) {
					i.at(socket, a, remark{
						why: s.Name + " has RuntimeDirectory=" + d.word.Text + ": with each stop and restart the path is gone",
						use: a.Name + "=" + path.Dir(path.Dir(a.Value)) + "/" + path.Base(path.Dir(a.Value)) + "-" + path.Base(a.Value),
					})
				}
			}
		}
	}
}

var ruleReusePort = Rule{
	ID: "reuse-port", Severity: Warning,
	Title: "the address can be bound twice",
	Why: "With ReusePort=yes another socket may be bound to the same address, and the kernel shares the clients " +
		"out among both. If the daemon does not find the socket by its name and binds the address itself, it does " +
		"not notice that systemd has it. A part of the clients waits in a queue that no process reads. When one " +
		"of the sockets is closed its waiting clients get a reset. Without it the mistake is an error " +
		"(EADDRINUSE).",
	Use:       "ReusePort=no",
	Bad:       "[Socket]\nReusePort=yes",
	Good:      "[Socket]\nReusePort=no",
	Reference: "systemd.socket(5)",
}
