package units

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/reserved"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// An Error says what is wrong with one field of a description. It matches
// [ErrInvalid].
type Error struct {
	Path    string // the file that the description was read from, see [ParseSpec], otherwise ""
	Line    int    // in that file, from 1; 0 if the field is not in it
	Section string // Service, Socket or Container, for a field of the type of that name
	Field   string
	Value   string
	Why     string
}

// Error returns where it is, the field, its value, and why it is wrong, in one
// line.
func (e *Error) Error() string {
	text := fmt.Sprintf("[%s] %s=%s: %s", e.Section, e.Field, e.Value, e.Why)
	switch {
	case e.Path == "":
		return text
	case e.Line == 0:
		return e.Path + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, text)
}

// Is reports whether target is [ErrInvalid].
func (e *Error) Is(target error) bool { return target == ErrInvalid }

// A judge collects the errors of a description.
type judge struct {
	section string
	errs    []*Error
}

func (j *judge) refuse(field string, value any, why string) {
	j.errs = append(j.errs, &Error{Section: j.section, Field: field, Value: fmt.Sprint(value), Why: why})
}

var (
	// Of what systemd takes, without the colon, which has a meaning of its own
	// in RuntimeDirectory=.
	unitName   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@?$`)
	socketName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	// The names that systemd takes everywhere (valid_user_group_name), without
	// those of digits alone.
	userName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,30}$`)
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	capability = regexp.MustCompile(`^CAP_[A-Z0-9_]+$`)
	systemCall = regexp.MustCompile(`^@?[a-z0-9_-]+$`)
	// What documentation_url_is_valid of systemd takes, as one word.
	document = regexp.MustCompile(`^(https?://|file:/|info:|man:)[^ \t"'\\]+$`)
)

func (s *Service) validate(systemd int) error {
	errs := s.faults()
	if systemd < Oldest {
		return fmt.Errorf("%w: systemd %d: units are rendered for %d and newer", ErrInvalid, systemd, Oldest)
	}
	if s.NotifyReload && systemd < 253 {
		errs = append(errs, &Error{Section: "Service", Field: "NotifyReload", Value: "yes", Why: "Type=notify-reload needs systemd 253"})
	}
	return join(errs)
}

func join(errs []*Error) error {
	var joined []error
	for _, err := range errs {
		joined = append(joined, err)
	}
	return errors.Join(joined...)
}

// faults returns the errors that do not depend on the version.
func (s *Service) faults() []*Error {
	j := judge{section: "Service"}
	s.validateProgram(&j)
	s.validateTimes(&j)
	s.validateRights(&j)
	s.validatePaths(&j)
	j.settings(s.Settings, "Unit", "Service", "Install")
	j.section = "Socket"
	s.validateSockets(&j)
	return j.errs
}

func (s *Service) validateProgram(j *judge) {
	// systemd keeps what is private below a folder of that name.
	if !unitName.MatchString(s.Name) || len(s.Name) > 200 || s.base() == "private" {
		j.refuse("Name", s.Name, "a unit is named with letters, digits and _.-, and an @ at the end for a template")
	}
	for _, suffix := range []string{".service", ".socket"} {
		if strings.HasSuffix(s.base(), suffix) {
			j.refuse("Name", s.Name, "write the name without "+suffix)
		}
	}
	j.paths("Program", s.Program)
	// systemd would take it, quoted, for the path of a file that hardly ever is
	// there.
	if strings.ContainsAny(s.Program, " \t") {
		j.refuse("Program", s.Program, "it has a blank: put arguments in Args=")
	}
	for _, uri := range s.Documentation {
		if !document.MatchString(uri) {
			j.refuse("Documentation", uri, "it is not a URI of http, https, file, info or man")
		}
	}
	for _, name := range s.EnvironmentFiles {
		if !isPath(strings.TrimPrefix(name, "-")) {
			j.refuse("EnvironmentFiles", name, notPath)
		}
	}
	for _, v := range s.Environment {
		if !variable.MatchString(v) {
			j.refuse("Environment", v, "it is not NAME=value")
		}
		if strings.HasPrefix(v, HashVariable+"=") {
			j.refuse("Environment", v, "the variable is reserved")
		}
	}
	j.lines("Description", s.Description)
	j.lines("Documentation", s.Documentation...)
	j.words("Args", s.Args...)
	j.words("ReloadArgs", s.ReloadArgs...)
	j.words("Environment", s.Environment...)
	j.lines("EnvironmentFiles", s.EnvironmentFiles...)
}

// lines refuses what systemd does not read as the one line that it is written
// on.
func (j *judge) lines(field string, values ...string) {
	for _, value := range values {
		if !isLine(value) {
			j.refuse(field, value, notLine)
		}
	}
}

// words is lines for what is quoted.
func (j *judge) words(field string, values ...string) {
	for _, value := range values {
		if !isLine(quote(value)) {
			j.refuse(field, value, notLine)
		}
	}
}

const notLine = "a line break, another control character, what is not UTF-8, or a backslash at the end cannot be written in a unit"

func isLine(value string) bool {
	file := unitfile.Parse("", "[Service]\nName="+value+"\n")
	return len(file.Problems) == 0 && len(file.Assignments) == 1 && file.Assignments[0].Value == strings.Trim(value, " \t") &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// paths refuses what is not the absolute path of something, or what systemd
// does not take for one, quoted or not (string_is_safe).
func (j *judge) paths(field string, values ...string) {
	for _, value := range values {
		if !isPath(value) || strings.ContainsAny(value, `"'\`) || !isLine(value) {
			j.refuse(field, value, notPath)
		}
	}
}

const notPath = "it must be an absolute path, without .. and the like, quotes and backslashes"

func isPath(value string) bool {
	return path.IsAbs(value) && path.Clean(value) == value && value != "/"
}

func (s *Service) validateTimes(j *judge) {
	times := []struct {
		field string
		value time.Duration
	}{
		{"StopTimeout", s.StopTimeout}, {"ReloadTimeout", s.ReloadTimeout},
		{"StartTimeout", s.StartTimeout}, {"Watchdog", s.Watchdog},
	}
	for _, t := range times {
		if t.value < 0 || t.value > longest || t.value%time.Microsecond != 0 {
			j.refuse(t.field, t.value, "a time is positive, a year at most, and a whole number of microseconds")
		}
	}
	numbers := []struct {
		field string
		value int
	}{{"Tasks", s.Tasks}, {"Descriptors", s.Descriptors}, {"StoredDescriptors", s.StoredDescriptors}}
	for _, n := range numbers {
		if n.value < 0 || n.value > most {
			j.refuse(n.field, n.value, outOfRange)
		}
	}
	if s.Memory > math.MaxUint64/2 {
		j.refuse("Memory", s.Memory, "it is far too large")
	}
}

const (
	longest    = 365 * 24 * time.Hour
	most       = math.MaxInt32 / 2
	outOfRange = "it is negative, or far too large"
)

func (s *Service) validateRights(j *judge) {
	if !slices.Contains([]Scope{"", System, User}, s.Scope) {
		j.refuse("Scope", s.Scope, "it is system or user")
	}
	if !slices.Contains([]Network{"", NoNetwork, LocalNetwork, AnyNetwork}, s.Network) {
		j.refuse("Network", s.Network, "it is none, local or any")
	}
	j.account("User", s.User)
	j.account("Group", s.Group)
	if s.Group != "" && s.User == "" {
		j.refuse("Group", s.Group, "a Group also needs a User")
	}
	for _, name := range s.Capabilities {
		if !capability.MatchString(name) {
			j.refuse("Capabilities", name, "it is not one of capabilities(7), such as CAP_NET_RAW")
		}
	}
	for _, name := range s.SystemCalls {
		if !systemCall.MatchString(name) {
			j.refuse("SystemCalls", name, "it is not a system call or a group of system calls, such as @mount")
		}
	}
	if s.Scope == User && (s.User != "" || len(s.Capabilities) > 0 || len(s.Devices) > 0) {
		j.refuse("Scope", s.Scope, "the service manager of a user gives no User, Capabilities or Devices")
	}
}

func (j *judge) account(field, name string) {
	if name != "" && !userName.MatchString(name) {
		j.refuse(field, name, "it is not the name of a system user")
	}
}

func (s *Service) validatePaths(j *judge) {
	for _, d := range s.directories() {
		for _, name := range d.names {
			if !isPath("/"+name) || strings.HasPrefix(name+"/", "private/") || strings.ContainsAny(name, ": \t\"'\\") || !isLine(name) {
				j.refuse(d.setting, name, "it must be relative, without .. and the like, blanks, colons and quotes, and not private")
			}
		}
	}
	j.paths("ReadWritePaths", s.ReadWritePaths...)
	for _, name := range s.ReadWritePaths {
		if strings.HasPrefix(name+"/", "/tmp/") || strings.HasPrefix(name+"/", "/var/tmp/") {
			j.refuse("ReadWritePaths", name, "the service has its own /tmp and /var/tmp")
		}
		if strings.Contains(name, ":") {
			j.refuse("ReadWritePaths", name, "systemd reads the part after a colon as another path")
		}
	}
	j.paths("Devices", s.Devices...)
	for _, name := range s.Devices {
		if !strings.HasPrefix(name, "/dev/") {
			j.refuse("Devices", name, "it must be below /dev")
		}
	}
	if len(s.ReadWritePaths) > 0 && s.User == "" && s.Scope != User {
		j.refuse("ReadWritePaths", s.ReadWritePaths[0], "it needs a User that owns the files; without one, use StateDirectory")
	}
}

func (s *Service) validateSockets(j *judge) {
	seen := map[string]bool{}
	for _, socket := range s.Sockets {
		if !socketName.MatchString(socket.Name) || len(socket.Name) > 100 {
			j.refuse("Name", socket.Name, "it takes letters, digits and _.-")
		}
		if reserved.Is(socket.Name) {
			j.refuse("Name", socket.Name, "heirloom uses the name itself, and Listen refuses it")
		}
		if seen[socket.Name] {
			j.refuse("Name", socket.Name, "two sockets have this name; one socket may have several Addresses")
		}
		seen[socket.Name] = true
		if len(socket.Addresses) == 0 {
			j.refuse("Name", socket.Name, "the socket has no Addresses")
		}
		if socket.Backlog < 0 || socket.Backlog > most {
			j.refuse("Backlog", socket.Backlog, outOfRange)
		}
		if socket.Mode&^fs.ModePerm != 0 {
			j.refuse("Mode", socket.Mode, "it has more than permissions")
		}
		for _, address := range socket.Addresses {
			s.validateAddress(j, address)
		}
		j.account("User", socket.User)
		j.account("Group", socket.Group)
		j.settings(socket.Settings, "Unit", "Socket", "Install")
	}
	s.validateBindings(j)
}

func (s *Service) validateAddress(j *judge, address string) {
	l, err := parseAddress(address)
	if err != nil {
		j.refuse("Addresses", address, err.Error())
		return
	}
	if len(l.value) > longestAddress {
		j.refuse("Addresses", address, "the path is too long for a socket")
	}
	j.lines("Addresses", address)
	if below, ok := strings.CutPrefix(l.path(), "%t/"); strings.HasPrefix(l.path(), "/run/"+s.runtimeDirectory()+"/") ||
		ok && strings.HasPrefix(below, s.runtimeDirectory()+"/") {
		j.refuse("Addresses", address, "systemd removes /run/"+s.runtimeDirectory()+" whenever the service stops; take another directory")
	}
	// %j is a part of the name before the @, and the same for all of them.
	if specifiers := strings.ReplaceAll(address, "%%", ""); s.template() && !strings.Contains(specifiers, "%i") && !strings.Contains(specifiers, "%I") {
		j.refuse("Addresses", address, "each instance needs its own, with %i")
	}
}

// longestAddress is what sun_path of sockaddr_un holds, with a NUL at its end.
const longestAddress = 107

var settingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

func (j *judge) settings(list []Setting, sections ...string) {
	for _, extra := range list {
		text := "[" + extra.Section + "] " + extra.Name + "=" + extra.Value
		if !slices.Contains(sections, extra.Section) {
			j.refuse("Settings", text, "the sections are "+strings.Join(sections, ", "))
		}
		if !settingName.MatchString(extra.Name) {
			j.refuse("Settings", text, "it is not Name=value")
		}
		if !isLine(extra.Value) {
			j.refuse("Settings", text, notLine)
		}
		if extra.Name == "Environment" && strings.Contains(extra.Value, HashVariable+"=") {
			j.refuse("Settings", text, "the variable is reserved")
		}
	}
}
