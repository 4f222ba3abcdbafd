package lint

import (
	"slices"
	"strings"
)

// relationChecks are about how a service and its sockets are tied together.
func relationChecks() []check {
	return []check{
		ofService(ruleSocketsMissing, checkSocketsMissing),
		ofService(ruleSocketsUnlisted, checkSocketsUnlisted),
		ofService(ruleSocketNames, checkSocketNames),
		ofService(ruleSocketService, checkSocketService),
		ofService(ruleSocketPartOf, checkSocketPartOf),
		ofSockets(ruleSocketInstall, checkSocketInstall),
		ofService(ruleDefaultDependencies, checkDefaultDependencies),
	}
}

var ruleSocketsMissing = Rule{
	ID: "sockets-missing", Severity: Error,
	Title: "a socket unit is missing",
	Why: "Sockets= names a unit that was not found. systemd starts the service without the listener, since it only " +
		"wants the sockets. The daemon binds the address itself, if it can, and then the socket is not kept over " +
		"a crash. Or it fails because the name is missing. If the socket unit is elsewhere, lint it together with " +
		"the service.",
	Bad:       "[Service]\nSockets=hello.socket nobody.socket",
	Good:      "[Service]\nSockets=hello.socket",
	Reference: "systemd.service(5)",
}

func checkSocketsMissing(i *inspection, s *subject) {
	for _, word := range i.missing {
		if !strings.HasSuffix(word.Text, ".socket") {
			i.at(s, word.From, remark{why: word.Text + " is not a socket unit, and systemd ignores it", use: without("Sockets", word.From.Value, word.Text)})
			continue
		}
		i.at(s, word.From, remark{
			why: word.Text + " was not found: the service starts without it, and does not get its listener",
			use: without("Sockets", word.From.Value, word.Text),
		})
	}
}

var ruleSocketsUnlisted = Rule{
	ID: "sockets-unlisted", Severity: Warning,
	Title: "the service starts without its socket",
	Why: "A socket unit starts its service when a client connects. Nothing starts the socket when the service " +
		"starts, unless the service lists it in Sockets= (or Requires=, Wants=). A service that is started first, " +
		"at boot, by hand or by a package, gets no LISTEN_FDS and binds the address itself. systemd then refuses " +
		"to start the socket (\"Socket service already active, refusing\"), and no process holds the listener over " +
		"a crash.",
	Bad:       "[Service]\n# no Sockets=",
	Good:      "[Service]\nSockets=hello.socket",
	Reference: "systemd.service(5)",
}

// pulls reports whether the start of the service starts the socket before.
func (s *subject) pulls(socket string) bool {
	if _, found := s.listed("Service", "Sockets", socket); found {
		return true
	}
	return slices.ContainsFunc([]string{"Requires", "Wants", "BindsTo", "Requisite", "Upholds"}, func(setting string) bool {
		_, found := s.listed("Unit", setting, socket)
		return found
	})
}

func checkSocketsUnlisted(i *inspection, s *subject) {
	names := i.unlisted(s)
	if len(names) == 0 {
		return
	}
	_, a := s.text("Service", "Sockets")
	i.atOrUnset(s, "Service", "Sockets", a, remark{
		why: "nothing starts " + enumerated(names) + " when the service is started first, which then binds the address itself",
		use: i.allSockets(s),
	})
}

// unlisted returns the names of the service's sockets that its start does not
// start.
func (i *inspection) unlisted(s *subject) []string {
	var names []string
	for _, socket := range i.sockets {
		accept, _, _ := socket.boolean("Socket", "Accept")
		if !accept && socket.serviceName() == s.Name && !s.pulls(socket.Name) {
			names = append(names, socket.Name)
		}
	}
	return names
}

// allSockets is the line that has all sockets: of two rules that find some to
// be missing each must not leave out those of the other.
func (i *inspection) allSockets(s *subject) string {
	value, _ := s.text("Service", "Sockets")
	words := strings.Fields(value)
	for _, name := range i.unlisted(s) {
		words = append(words, withSpecifier(name))
	}
	_, none := i.unnamed()
	for _, name := range none {
		words = append(words, withSpecifier(i.socketUnit(s, name)))
	}
	return "Sockets=" + strings.Join(words, " ")
}

// socketUnit is what package units calls the unit of a socket with this name:
// the first one is called as the service.
func (i *inspection) socketUnit(s *subject, name string) string {
	stem, at, _ := strings.Cut(strings.TrimSuffix(s.Name, ".service"), "@")
	if strings.Contains(s.Name, "@") {
		at = "@" + at
	}
	first := stem + at + ".socket"
	_, taken := s.listed("Service", "Sockets", first)
	taken = taken || slices.ContainsFunc(i.sockets, func(socket *subject) bool { return socket.Name == first })
	if name == i.Daemon.Sockets[0] && !taken {
		return first
	}
	return stem + "-" + name + at + ".socket"
}

// enumerated joins words as one says them.
func enumerated(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// withSpecifier writes %i for the instance in the name of a template.
func withSpecifier(name string) string { return strings.Replace(name, "@.", "@%i.", 1) }

var ruleSocketNames = Rule{
	ID: "socket-names", Severity: Error,
	Title: "a socket that the daemon asks for has another name",
	Why: "The daemon asks for its listeners by the names that FileDescriptorName= gives them. Without it the name " +
		"is that of the socket unit, such as hello.socket. If no socket has the name, the daemon binds the " +
		"address itself. That fails if systemd holds the address (EADDRINUSE). If it does not, the listener is " +
		"not kept open after a crash.",
	Bad:       "[Socket]\nFileDescriptorName=htpp",
	Good:      "[Socket]\nFileDescriptorName=http",
	Reference: "systemd.socket(5)",
}

// name is the one by which the daemon finds the socket.
func (s *subject) fdName() string {
	if a, found := s.LastValid("Socket", isFDName, "FileDescriptorName"); found {
		return s.expand(a.Value)
	}
	return s.Name
}

// isFDName is fdname_is_valid.
func isFDName(name string) bool {
	const most = 255
	return len(name) <= most && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == ':' })
}

func checkSocketNames(i *inspection, s *subject) {
	wrong, none := i.unnamed()
	for _, r := range wrong {
		_, a := r.socket.text("Socket", "FileDescriptorName")
		i.atOrUnset(r.socket, "Socket", "FileDescriptorName", a, remark{
			why: "the daemon asks for a socket named " + r.name, use: "FileDescriptorName=" + r.name,
		})
	}
	if len(none) == 0 {
		return
	}
	why := "the daemon asks for a socket named " + none[0] + ", and no socket unit has that FileDescriptorName="
	if len(none) > 1 {
		why = "the daemon asks for sockets named " + enumerated(none) + ", and no socket units have these FileDescriptorName="
	}
	_, a := s.text("Service", "Sockets")
	i.atOrUnset(s, "Service", "Sockets", a, remark{why: why, use: i.allSockets(s)})
}

// A renaming is of a socket that the daemon does not ask for by the name that
// it has.
type renaming struct {
	socket *subject
	name   string
}

// unnamed tells which sockets are likely to be those of the names that no
// socket has, and the names that are left.
func (i *inspection) unnamed() (wrong []renaming, none []string) {
	var spare []*subject // sockets of names that the daemon does not ask for
	missing := slices.Clone(i.Daemon.Sockets)
	for _, socket := range i.sockets {
		if slices.Contains(i.Daemon.Sockets, socket.fdName()) {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == socket.fdName() })
		} else {
			spare = append(spare, socket)
		}
	}
	for n, name := range missing {
		if n >= len(spare) {
			return wrong, missing[n:]
		}
		wrong = append(wrong, renaming{spare[n], name})
	}
	return wrong, nil
}

var ruleSocketService = Rule{
	ID: "socket-service", Severity: Error,
	Title: "a socket starts another service",
	Why: "Sockets= lists a socket unit whose Service= (or name) is another service. systemd hands the listener to " +
		"both, and starts the other service when a client connects. Two services accept from one queue, and " +
		"chance decides which of them a client gets. Or the other service's name is misspelt, and the socket " +
		"fails when the first client connects.",
	Bad:       "[Socket]\nService=other.service",
	Good:      "[Socket]\nService=hello.service",
	Reference: "systemd.socket(5)",
}

func checkSocketService(i *inspection, s *subject) {
	for _, socket := range i.sockets {
		if _, listed := s.listed("Service", "Sockets", socket.Name); !listed || socket.serviceName() == s.Name {
			continue
		}
		if accept, _, _ := socket.boolean("Socket", "Accept"); accept {
			continue // is told as such
		}
		_, a := socket.text("Socket", "Service")
		i.atOrUnset(socket, "Socket", "Service", a, remark{
			why: s.Name + " lists this socket, which starts " + socket.serviceName() + " instead",
			use: "Service=" + withSpecifier(s.Name),
		})
	}
}

var ruleSocketPartOf = Rule{
	ID: "socket-part-of", Severity: Error,
	Title: "a restart of the service closes the socket",
	Why: "A socket unit with PartOf=, BindsTo=, Requires= or StopPropagatedFrom= of its service is stopped, and " +
		"its listener closed, when the service is stopped or restarted. While the listener is closed connections " +
		"are refused, and clients in its queue get a reset. When the socket comes back while the service runs " +
		"already, systemd refuses to start it. A socket unit should stand alone, and listen whatever happens to " +
		"the service.",
	Bad:       "[Unit]\nPartOf=hello.service",
	Good:      "[Unit]",
	Reference: "systemd.unit(5)",
}

func checkSocketPartOf(i *inspection, s *subject) {
	tie := func(of *subject, other *subject, settings ...string) {
		for _, setting := range settings {
			word, found := of.listed("Unit", setting, other.Name)
			if found {
				i.at(of, word.From, remark{
					why: "when the service stops or restarts the socket is closed, and connections are refused",
					use: without(setting, word.From.Value, word.Text),
				})
			}
		}
	}
	for _, socket := range i.sockets {
		tie(socket, s, "PartOf", "BindsTo", "Requires", "Requisite", "StopPropagatedFrom", "Conflicts")
		tie(s, socket, "PropagatesStopTo", "Conflicts")
	}
}

var ruleSocketInstall = Rule{
	ID: "socket-install", Severity: Warning,
	Title: "nothing starts the socket",
	Why: "`systemctl enable` of a socket unit follows its [Install]. If that has no WantedBy=sockets.target, and " +
		"no service lists the socket in Sockets=, nothing starts the socket at boot. No process listens until an " +
		"operator starts the socket by hand.",
	Use:       "WantedBy=sockets.target",
	Bad:       "[Install]\nWantedBy=",
	Good:      "[Install]\nWantedBy=sockets.target",
	Reference: "systemd.unit(5)",
}

func checkSocketInstall(i *inspection, s *subject) {
	if s.wanted || i.service != nil && i.service.pulls(s.Name) {
		return
	}
	for _, setting := range []string{"WantedBy", "RequiredBy", "UpheldBy"} {
		if len(s.List("Install", setting)) > 0 {
			return
		}
	}
	_, last := s.text("Install", "WantedBy")
	i.atOrUnset(s, "Install", "WantedBy", last, remark{why: "nothing starts the socket at boot, and no process listens"})
}

var ruleDefaultDependencies = Rule{
	ID: "default-dependencies", Severity: Warning,
	Title: "the service is not stopped before the machine",
	Why: "With DefaultDependencies=no a service has no Conflicts=shutdown.target: at shutdown and reboot systemd " +
		"does not stop it in its turn. Its processes get SIGTERM at the very end, all at once, when network and " +
		"file systems may be gone, and their requests are lost.",
	Use:       "DefaultDependencies=yes",
	Bad:       "[Unit]\nDefaultDependencies=no",
	Good:      "[Unit]\nDefaultDependencies=yes",
	Reference: "systemd.service(5)",
	Unshown:   "it takes the shutdown of a machine while its network is watched from outside",
}

func checkDefaultDependencies(i *inspection, s *subject) {
	yes, a, found := s.boolean("Unit", "DefaultDependencies")
	_, conflicts := s.listed("Unit", "Conflicts", "shutdown.target")
	if found && !yes && !conflicts {
		i.at(s, a, remark{why: "a shutdown of the machine does not stop the service in its turn, and requests are lost"})
	}
}
