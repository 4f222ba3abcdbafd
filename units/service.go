package units

import (
	"cmp"
	"errors"
	"time"
)

// ErrInvalid is matched by the errors of descriptions that cannot be rendered.
// They name the field and its value.
var ErrInvalid = errors.New("invalid description")

// Oldest is the oldest version of systemd that units are rendered for: that of
// Debian 12.
const Oldest = 252

// Service describes a daemon that was built with heirloom. The zero value of a
// field is its default; Name and Program must be set.
//
// Where a field holds what systemd expands, which are paths, arguments,
// addresses and the environment, specifiers are expanded, such as %i for the
// name of an instance, and a percent sign that is meant is written %%.
type Service struct {
	// Name is that of the unit, without its suffix: hello. With an @ at its end
	// the unit is a template, and each instance a service of its own: hello@,
	// started as hello@one.service.
	Name string

	// Description is a few words for `systemctl status`. The default is Name.
	Description string

	// Documentation is a list of URIs, such as man:hello(8) and
	// https://example.org.
	Documentation []string

	// Program is the absolute path of the daemon, where the package manager
	// replaces it. It has no blanks: the arguments are Args.
	Program string
	Args    []string

	// ReloadArgs are the arguments with which Program asks the running daemon
	// to reload, waits, and fails if that failed: those that it passes on to
	// lifecycle.Command. The default is "reload".
	ReloadArgs []string

	// NotifyReload has systemd ask for a reload by SIGHUP, as
	// Type=notify-reload, rather than by ReloadArgs. That needs systemd 253,
	// and `systemctl reload` cannot tell then that a reload failed.
	NotifyReload bool

	// Sockets are what systemd listens on for the daemon. They stay open over a
	// restart and a crash.
	Sockets []Socket

	// StopTimeout is how long the daemon may take to finish its requests
	// when it is stopped or replaced (TimeoutStopSec=). The daemon asks
	// systemd for it, and exits a little earlier. The default is 90
	// seconds.
	StopTimeout time.Duration

	// ReloadTimeout is the daemon's lifecycle.Options.ReloadTimeout, by default
	// 10 seconds. systemd gives a reload half as much again before it calls it
	// failed (TimeoutStartSec=).
	ReloadTimeout time.Duration

	// StartTimeout is how long a start may take, if that is longer than what
	// ReloadTimeout leads to.
	StartTimeout time.Duration

	// Watchdog is how long the daemon may be silent before systemd kills and
	// restarts it (WatchdogSec=). Zero is for ever.
	Watchdog time.Duration

	// User is the system user to run as, and Group its group, by default the
	// one of the same name. A file for systemd-sysusers makes them. Without a
	// User systemd takes a number that is free while the service runs
	// (DynamicUser=).
	User, Group string

	// Scope says whose service manager runs the daemon. The default is System.
	Scope Scope

	// Network says what the daemon can reach beyond its Sockets. The
	// default is nothing.
	Network Network

	// StateDirectory, CacheDirectory, LogsDirectory and
	// ConfigurationDirectory are names of directories below /var/lib,
	// /var/cache, /var/log and /etc that systemd makes for the daemon,
	// which finds their paths in $STATE_DIRECTORY and so on. They belong to
	// the daemon, except for a directory in /etc that existed before, such
	// as that of a package: the daemon can read that one.
	StateDirectory, CacheDirectory, LogsDirectory, ConfigurationDirectory []string

	// ReadWritePaths are absolute paths of other files and directories that
	// the daemon writes to. They need a User: without one the files would
	// belong to a number that another service may get later. A file for
	// systemd-tmpfiles makes the directories that do not exist, unless
	// their paths have an instance or another specifier. If a path is
	// missing when the daemon starts, the start fails.
	ReadWritePaths []string

	// Devices are paths of device nodes to read and write, such as /dev/ttyS0.
	Devices []string

	// Capabilities are those of capabilities(7) that the daemon needs, such
	// as CAP_NET_RAW. Listening on a port below 1024 needs none with a
	// socket in Sockets.
	Capabilities []string

	// SystemCalls are system calls, or groups of them with an @, in
	// addition to @system-service without @privileged and @resources.
	SystemCalls []string

	// ExecutableMemory allows memory that is both writable and executable,
	// which programs need that compile at run time.
	ExecutableMemory bool

	// Environment holds variables as "NAME=value". EnvironmentFiles are
	// paths of files with more variables. A dash before the path says that
	// the file may be missing. Neither is for secrets: see LoadCredential=
	// in systemd.exec(5), by Settings.
	Environment      []string
	EnvironmentFiles []string

	// Memory is how many bytes one process of the daemon needs at most, and
	// Tasks how many threads: two generations of it run at a time, so
	// systemd gets twice the value (MemoryMax=, TasksMax=). The default is
	// systemd's own.
	Memory uint64
	Tasks  int

	// Descriptors is how many files and connections the daemon may have open
	// (LimitNOFILE=). The default is 524288.
	Descriptors int

	// StoredDescriptors is how many files systemd keeps for the daemon
	// (FileDescriptorStoreMax=): one for each listener that it binds itself,
	// each file that it stores, and a few for connections, however many those
	// are. The default is 64.
	StoredDescriptors int

	// Settings are further lines, after all others. If the unit has the
	// setting already, the last line counts, or adds to it if the setting
	// is a list.
	Settings []Setting
}

// A Setting is a line of the service's unit.
type Setting struct {
	Section string // Unit, Service or Install
	Name    string
	Value   string
}

// A Scope is a service manager.
type Scope string

const (
	// System is the machine's own.
	System Scope = "system"
	// User is each user's own (`systemctl --user`). It can neither change users
	// nor take rights away that need a privilege to take, so User, Group,
	// Devices and Capabilities are refused, and the sandbox is that of system
	// calls alone.
	User Scope = "user"
)

// A Network is what a daemon reaches by itself. It serves its Sockets in any
// case.
type Network string

const (
	NoNetwork    Network = "none"  // nothing: it is alone in its own network
	LocalNetwork Network = "local" // addresses of this machine: 127.0.0.0/8 and ::1
	AnyNetwork   Network = "any"   // the machine's network, to connect and to listen
)

const (
	defaultStopTimeout   = 90 * time.Second
	defaultReloadTimeout = 10 * time.Second
	defaultDescriptors   = 524288
	defaultStored        = 64
)

// template reports whether the unit is one.
func (s *Service) template() bool { return s.Name != "" && s.Name[len(s.Name)-1] == '@' }

// base is the name without the "@" of a template.
func (s *Service) base() string {
	if s.template() {
		return s.Name[:len(s.Name)-1]
	}
	return s.Name
}

// instance is what follows the base where one instance of a template names
// something of its own.
func (s *Service) instance(separator string) string {
	if s.template() {
		return separator + "%i"
	}
	return ""
}

// runtimeDirectory is where the control socket is. One instance must not take
// away another's when it stops.
func (s *Service) runtimeDirectory() string { return s.base() + s.instance("-") }

// startTimeout bounds starts and reloads.
func (s *Service) startTimeout() time.Duration {
	return max(s.StartTimeout, cmp.Or(s.ReloadTimeout, defaultReloadTimeout)*3/2)
}
