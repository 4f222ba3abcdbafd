package units

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Container has the settings of a Quadlet file that a [Service] does not
// have.
type Container struct {
	// Image is the container image, as podman takes it:
	// registry.example.org/hello:1. Program is a path in it.
	Image string

	// User is the daemon's user inside, a number or name of the image,
	// optionally with ":GROUP". The default is the image's. Directories of
	// the service belong to the user only if it is set here.
	User string

	// PodmanArgs are arguments for `podman run` that no setting of Quadlet has.
	PodmanArgs []string

	// Settings are further lines for the section Container, or for Unit,
	// Service, Install or Quadlet.
	Settings []Setting
}

// Quadlet returns the files that run the service in a container of podman under
// systemd: a .container file, of which podman's generator makes the unit
// hello.service at each daemon-reload, and the socket units, as in Render.
// systemd listens, and podman passes the sockets on. They are for podman 5.0
// and newer: root's, or with the Scope User that of a user.
//
// The daemon is process 1 of its container. `systemctl reload` replaces the
// program in that process by the file that the container has now, and clients
// wait as long as the longest request takes. A new image needs `systemctl
// restart`. Clients wait until the new container serves, and connections at
// rest move into it through systemd's file descriptor store.
//
// podman itself relays only a few texts of the container's messages to systemd
// (Notify=), and no descriptors (containers/conmon issue 393). So systemd's own
// socket is mounted where podman puts that of the relay,
// /run/notify/notify.sock, and NOTIFY_SOCKET names it. systemd finds the
// sender's unit by the control group, so CgroupsMode= must stay at Quadlet's
// default, split.
//
// In a container a daemon cannot ask for its stop timeout, after which podman
// kills. $HEIRLOOM_STOP_TIMEOUT gives it.
//
// The container replaces the sandbox. It has no network, or with AnyNetwork the
// machine's. It has only the Capabilities, and no new privileges. Its root file
// system is read-only except for directories in memory and those of the
// service. These are mounted from the host under their names there, and
// $STATE_DIRECTORY and so on have their paths. ReadWritePaths and
// EnvironmentFiles must exist. Memory and Tasks are limits of the container,
// twice the field's value as in Render, and Watchdog is passed on. Podman
// always allows ExecutableMemory.
//
// Quadlet refuses fields that a container cannot have: User and Group of the
// machine (Container has a User of the image), NotifyReload, LocalNetwork,
// SystemCalls (podman has SeccompProfile=), an EnvironmentFile that may be
// missing, and arguments that are empty or a semicolon. Such an error matches
// [ErrInvalid], and names the field, as those of Render do.
//
// This was tested with podman 5.4.2, crun 1.21 and conmon 2.1.12 on systemd
// 257, under load, as root and as a user: start, reload, restart with another
// image, and stop. As root also: a restart with an image that does not start
// and then with one that does, templates, a watchdog that fires, directories
// for another user, capabilities, and a crash. Only the requests in the crashed
// process broke. It was not tested on systems with SELinux, where the container
// needs permission to write to systemd's socket (SecurityLabelDisable=), with
// limits of memory and tasks, with AnyNetwork and devices, and with other
// versions.
func (s Service) Quadlet(c Container) ([]File, error) {
	j := judge{section: "Service", errs: s.faultsInside()}
	s.validateQuadlet(&j)
	c.validate(&j)
	if len(j.errs) > 0 {
		return nil, join(j.errs)
	}
	container := s.unitFile(s.Name+".container", s.containerUnit(c))
	container.Path = "/usr/share/containers/systemd/" + s.Name + ".container"
	if s.Scope == User {
		// Podman 5 has no folder for what is installed for all users.
		container.Path = "/etc/containers/systemd/users/" + s.Name + ".container"
	}
	files := []File{container}
	for i := range s.Sockets {
		files = append(files, s.unitFile(s.SocketUnits()[i], s.socketUnit(i)))
	}
	return files, nil
}

// faultsInside is faults, but paths need no user: the container has its own.
func (s Service) faultsInside() []*Error {
	if s.User == "" && s.Scope != User {
		s.User = "root"
	}
	return s.faults()
}

func (s *Service) validateQuadlet(j *judge) {
	if s.User != "" || s.Group != "" {
		j.refuse("User", cmp.Or(s.User, s.Group), "it is a user of the machine, and a container has its own users: see Container")
	}
	if s.NotifyReload {
		j.refuse("NotifyReload", "yes", "Quadlet has Type=notify only")
	}
	if s.Network == LocalNetwork {
		j.refuse("Network", s.Network, "podman has no network for a container that reaches this machine only")
	}
	for _, name := range s.SystemCalls {
		j.refuse("SystemCalls", name, "podman takes a file of system calls, see SeccompProfile= in podman-systemd.unit(5)")
	}
	for _, arg := range s.Args {
		if arg == "" || arg == ";" {
			j.refuse("Args", arg, "Quadlet passes on no argument that is empty or a semicolon, and none after it")
		}
	}
	for _, name := range s.EnvironmentFiles {
		if strings.HasPrefix(name, "-") {
			j.refuse("EnvironmentFiles", name, "podman does not know the dash: the file must exist")
		}
	}
	for _, name := range s.Devices {
		if strings.ContainsAny(name, ": \t") {
			j.refuse("Devices", name, "Quadlet reads the part after a colon or a blank as something else")
		}
	}
	if s.Name != "" && !isAlphanumeric(s.Name[0]) {
		j.refuse("Name", s.Name, "the name of a container starts with a letter or digit")
	}
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

var (
	imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./:@-]*$`)
	inside    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)
)

func (c *Container) validate(j *judge) {
	j.section = "Container"
	if !imageName.MatchString(c.Image) {
		j.refuse("Image", c.Image, "it is not the name of a container image")
	}
	if c.User != "" && !inside.MatchString(c.User) {
		j.refuse("User", c.User, "it is not USER or USER:GROUP")
	}
	if slices.Contains(c.PodmanArgs, "") {
		j.refuse("PodmanArgs", "", "Quadlet passes on no empty argument, and none after it")
	}
	j.words("PodmanArgs", c.PodmanArgs...)
	j.settings(c.Settings, "Container", "Unit", "Service", "Install", "Quadlet")
}

// stopVariable gives a daemon its stop timeout if it cannot ask systemd.
const stopVariable = "HEIRLOOM_STOP_TIMEOUT"

// podmanTime is what podman itself may take to make and to remove a container.
const podmanTime = 10 * time.Second

func (s *Service) containerUnit(c Container) options {
	var o options
	s.describe(&o)
	s.contain(&o, c)
	s.superviseContainer(&o)
	target := "multi-user.target"
	if s.Scope == User {
		target = "default.target"
	}
	o.set("Install", "WantedBy", target)
	for _, extra := range slices.Concat(s.Settings, c.Settings) {
		o.set(extra.Section, extra.Name, extra.Value)
	}
	return o
}

// superviseContainer is what podman's generator copies into the unit. It adds
// Type=notify, NotifyAccess=all, and KillMode=mixed.
func (s *Service) superviseContainer(o *options) {
	stop := s.stopSeconds()
	// A reload in place finishes what was begun, which may take as long as a
	// stop.
	start := max(s.startTimeout(), stop)
	o.setIf("Service", "Sockets", strings.Join(s.socketUnits("%i"), " "))
	o.set("Service", "ExecReload", "/usr/bin/podman exec "+s.containerName()+" "+command(s.Program, s.reloadArgs()))
	o.setAll("Service",
		"Restart", "on-failure",
		"RestartSec", "200ms",
		"TimeoutStartSec", span(start+podmanTime),
		"TimeoutStopSec", span(stop+podmanTime),
		"FileDescriptorStoreMax", strconv.Itoa(cmp.Or(s.StoredDescriptors, defaultStored)),
		"OOMPolicy", "continue",
	)
	if s.Watchdog > 0 {
		o.set("Service", "WatchdogSec", span(s.Watchdog))
	}
	for _, d := range s.directories() {
		o.setIf("Service", d.setting, strings.Join(d.names, " "))
	}
}

// stopSeconds is the stop timeout as podman takes it.
func (s *Service) stopSeconds() time.Duration {
	return (cmp.Or(s.StopTimeout, defaultStopTimeout) + time.Second - 1).Truncate(time.Second)
}

// containerName has no @, which podman does not take.
func (s *Service) containerName() string { return s.base() + s.instance("-") }

func (s *Service) contain(o *options, c Container) {
	network := "none"
	if s.Network == AnyNetwork {
		network = "host"
	}
	o.setAll("Container",
		"ContainerName", s.containerName(),
		"Image", c.Image,
		"Entrypoint", unexpanded(s.Program),
	)
	o.setIf("Container", "Exec", strings.Join(quoteAll(s.Args), " "))
	o.setIf("Container", "User", c.User)
	o.setAll("Container",
		"Notify", "true",
		"Volume", s.notifySocket()+":/run/notify/notify.sock",
		"StopTimeout", strconv.Itoa(int(s.stopSeconds()/time.Second)),
		"Network", network,
		"ReadOnly", "true",
		"NoNewPrivileges", "true",
		"DropCapability", "all",
	)
	o.setList("Container", "AddCapability", s.Capabilities)
	o.setList("Container", "AddDevice", s.Devices)
	s.mounts(o, c)
	s.variables(o)
	s.containerLimits(o)
	for _, arg := range c.PodmanArgs {
		o.set("Container", "PodmanArgs", quote(arg))
	}
}

// notifySocket is where the service manager listens.
func (s *Service) notifySocket() string {
	if s.Scope == User {
		return "%t/systemd/notify"
	}
	return "/run/systemd/notify"
}

// homes are what a service manager calls the folders of systemd's directories,
// by specifiers, and what they are in the container.
var homes = map[string]struct{ outside, inside, variable, option string }{
	"StateDirectory":         {"%S/", "/var/lib/", "STATE_DIRECTORY", ""},
	"CacheDirectory":         {"%C/", "/var/cache/", "CACHE_DIRECTORY", ""},
	"LogsDirectory":          {"%L/", "/var/log/", "LOGS_DIRECTORY", ""},
	"ConfigurationDirectory": {"%E/", "/etc/", "CONFIGURATION_DIRECTORY", ":ro"},
}

// mounts shows the daemon the directories that systemd has made, and tells it
// where they are as systemd would.
func (s *Service) mounts(o *options, c Container) {
	for _, d := range s.directories() {
		home := homes[d.setting]
		option := home.option
		if option == "" && c.User != "" {
			option = ":U" // they become that user's
		}
		var paths []string
		for _, name := range d.names {
			paths = append(paths, home.inside+name)
			o.set("Container", "Volume", home.outside+name+":"+home.inside+name+option)
		}
		if len(paths) > 0 {
			o.set("Container", "Environment", home.variable+"="+strings.Join(paths, ":"))
		}
	}
	for _, path := range s.ReadWritePaths {
		// Quadlet takes the value as it is, and quotes it itself.
		o.set("Container", "Volume", unexpanded(path)+":"+unexpanded(path))
	}
}

// unexpanded keeps systemd from expanding variables: what Quadlet is told
// becomes a part of a command.
func unexpanded(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func (s *Service) variables(o *options) {
	for _, variable := range s.Environment {
		o.set("Container", "Environment", quote(unexpanded(variable)))
	}
	for _, name := range s.EnvironmentFiles {
		o.set("Container", "EnvironmentFile", quote(unexpanded(name)))
	}
	o.set("Container", "Environment", stopVariable+"="+span(s.stopSeconds()))
	if s.Watchdog > 0 {
		// podman does not pass systemd's own on.
		o.set("Container", "Environment", "WATCHDOG_USEC="+strconv.FormatInt(s.Watchdog.Microseconds(), 10))
	}
}

// containerLimits are for the daemon and the command that asks it to reload.
func (s *Service) containerLimits(o *options) {
	if s.Descriptors > 0 {
		// Without it the container has what podman may give. More than that
		// fails, and is not made less as by LimitNOFILE=.
		files := strconv.Itoa(s.Descriptors)
		o.set("Container", "Ulimit", "nofile="+files+":"+files)
	}
	if s.Memory > 0 {
		o.set("Container", "PodmanArgs", fmt.Sprintf("--memory=%d", 2*s.Memory))
	}
	if s.Tasks > 0 {
		o.set("Container", "PidsLimit", strconv.Itoa(2*s.Tasks))
	}
}
