package systemd_test

import (
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

// A timeoutCase is a unit with a stop timeout, and what its process must learn.
// In the texts, %u is the name of the unit without its suffix.
type timeoutCase struct {
	name    string
	service string            // more lines
	files   map[string]string // drop-ins by their path, with their [Service] section
	want    systemd.Timeout   // its Source is where there is one; else what asks on this systemd
	on      map[sdtest.Version]systemd.Source
	path    string // the file that says so: the unit's own if it is empty
	unread  bool   // the files cannot be read
	err     string // what the error matches
	since   sdtest.Version
}

// values are ways to set it. Manager and files must say the same.
var values = []timeoutCase{
	{name: "seconds", service: "TimeoutStopSec=47", want: seconds(47)},
	{name: "spans", service: "TimeoutStopSec = 1min 2.5s", want: systemd.Timeout{Duration: 62500 * time.Millisecond}},
	{name: "infinity", service: "TimeoutStopSec=infinity", want: infinite},
	{name: "zero", service: "TimeoutStopSec=0", want: infinite},
	{name: "ages", service: "TimeoutStopSec=1000y", want: infinite},
	{name: "both", service: "TimeoutSec=47", want: seconds(47)},
	{name: "last", service: "TimeoutStopSec=7\nTimeoutSec=6\n[Service]\nTimeoutStopSec=47", want: seconds(47)},
	{name: "malformed", service: "TimeoutStopSec=47\nTimeoutStopSec=\nTimeoutStopSec=soon", want: seconds(47)},
	{name: "other-section", service: "TimeoutStopSec=47\n[X-Service]\nTimeoutStopSec=7", want: seconds(47)},
	{name: "goes-on", service: "TimeoutStopSec=\\\n# comment \\\n  40 \\\n;\n\\\n 7\nTimeoutStopSec= \\\n\nTimeoutStartSec=4", want: seconds(47)},
	{name: "in-a-comment", service: "TimeoutStopSec=47\n# \\\nTimeoutStopSec=53", want: seconds(53)},
	{name: "in-another-line", service: "TimeoutStopSec=47\nEnvironment=A=\\\nTimeoutStopSec=53", want: seconds(47)},
	{name: "default", want: seconds(33), path: "/run/systemd/system.conf.d/20.conf"},
	{name: "dropped-in", service: "TimeoutStopSec=47", want: seconds(53), path: "/usr/lib/systemd/system/%u.service.d/20.conf", files: drops(
		"/run/systemd/system/%u.service.d/10.conf 7", "/etc/systemd/system/%u.service.d/11.conf 8",
		"/usr/lib/systemd/system/%u.service.d/20.conf 53", "/etc/systemd/system/%u.service.d/30.txt 9", "/etc/systemd/system/%u.service.d/.30.conf 9")},
	{name: "hidden", service: "TimeoutStopSec=47", want: seconds(53), path: "/etc/systemd/system/%u.service.d/10.conf", files: drops(
		"/usr/lib/systemd/system/%u.service.d/10.conf 7", "/etc/systemd/system/%u.service.d/10.conf 53", "/run/systemd/system/%u.service.d/10.conf 8")},
	{name: "edited", service: "TimeoutStopSec=47", want: seconds(53), path: "/run/systemd/system/%u.service.d/override.conf", files: drops(
		"/run/systemd/system/%u.service.d/override.conf 53")},
	{name: "control", service: "TimeoutStopSec=47", want: seconds(53), path: "/run/systemd/system.control/%u.service.d/50-x.conf", files: drops(
		"/run/systemd/system.control/%u.service.d/50-x.conf 53", "/etc/systemd/system/%u.service.d/50-x.conf 7")},
	{name: "dashed-a-b", service: "TimeoutStopSec=47", want: seconds(53), path: "/etc/systemd/system/dashed-a-.service.d/10.conf", files: drops(
		"/etc/systemd/system/dashed-a-.service.d/10.conf 53", "/etc/systemd/system/dashed-.service.d/10.conf 7",
		"/run/systemd/system/%u.service.d/10.conf 8", "/etc/systemd/system/dashed-.service.d/09.conf 9")},
	{name: "templ@x", want: seconds(46), path: "/etc/systemd/system/templ@.service.d/10.conf"},
	{name: "templ@y", want: seconds(53), path: "/etc/systemd/system/templ@y.service.d/10.conf", files: drops(
		"/etc/systemd/system/templ@y.service.d/10.conf 53", "/etc/systemd/system/templ@.service.d/10.conf 46")},
	{name: "templ@z", service: "TimeoutStopSec=53", want: seconds(53), path: "/etc/systemd/system/templ@z.service.d/20.conf", files: drops(
		"/etc/systemd/system/templ@z.service.d/20.conf 53")},
}

// sandboxes are ways to lock the unit up, each with what must be the way to
// learn the timeout. The unit's file says 47, a drop-in 53 and the environment
// 59.
var sandboxes = []timeoutCase{
	{name: "root"},
	{name: "nobody", service: "User=nobody"},
	{name: "dynamic", service: "DynamicUser=yes", on: before262(systemd.UnitFile)},
	{name: "sandbox-root", service: sandbox("User=root")},
	{name: "sandbox-nobody", service: sandbox("User=nobody")},
	{name: "sandbox-dynamic", service: sandbox("DynamicUser=yes"), on: before262(systemd.UnitFile)},
	{name: "no-bus", service: "User=nobody\nInaccessiblePaths=/run/dbus", on: before262(systemd.UnitFile)},
	{name: "no-varlink", service: noVarlink, want: from(systemd.DBus)},
	{name: "no-varlink-nobody", service: "User=nobody\n" + noVarlink, want: from(systemd.DBus)},
	{name: "no-varlink-dynamic", service: sandbox("DynamicUser=yes") + "\n" + noVarlink, want: from(systemd.UnitFile)},
	{name: "no-socket", service: noSocket, want: from(systemd.UnitFile)},
	{name: "no-socket-nobody", service: sandbox("User=nobody") + "\n" + noSocket, want: from(systemd.UnitFile)},
	// 252 and 257 cannot start such a unit.
	{name: "no-run", service: "User=nobody\nInaccessiblePaths=/run/systemd /run/dbus", since: sdtest.V262, want: from(systemd.UnitFile)},
	{name: "no-run-root", service: "InaccessiblePaths=/run/systemd /run/dbus", since: sdtest.V262, want: from(systemd.UnitFile)},
	{name: "empty-run", service: "TemporaryFileSystem=/run/systemd /run/dbus", want: from(systemd.UnitFile)},
	{name: "groups", service: "ProtectControlGroups=yes\n" + noSocket, want: from(systemd.UnitFile)},
	{name: "own-groups", service: "ProtectControlGroups=private\n" + noSocket, since: sdtest.V262, want: from(systemd.UnitFile)},
	{name: "first", service: "PrivatePIDs=yes", since: sdtest.V257},
	{name: "first-dynamic", service: "PrivatePIDs=yes\nDynamicUser=yes", since: sdtest.V262},
	{name: "first-no-socket", service: "PrivatePIDs=yes\n" + noSocket, since: sdtest.V257, want: from(systemd.UnitFile)},
	{name: "no-unit-file", service: noSocket + "\n" + noFiles, want: from(systemd.Environment), unread: true},
	{name: "private-file", service: "InaccessiblePaths=/etc/systemd/system/%u.service\nUser=nobody\n" + noSocket, want: from(systemd.Environment), unread: true},
	{name: "root-folder", service: rootFolder, want: from(systemd.Environment), unread: true},
	{name: "root-folder-varlink", service: rootFolder + "\nBindPaths=-/run/systemd/io.systemd.Manager /run/systemd/system", since: sdtest.V262, unread: true},
	{name: "nothing", service: "UnsetEnvironment=" + systemd.StopTimeoutVariable + "\nUser=nobody\n" + noSocket + "\n" + noFiles, unread: true,
		err: "unanswered not-exist permission"},
	{name: "malformed-variable", service: "Environment=" + systemd.StopTimeoutVariable + "=soon\n" + noSocket + "\n" + noFiles, unread: true,
		err: "unanswered not-exist"},
	{name: "malformed-unused", service: "Environment=" + systemd.StopTimeoutVariable + "=soon"},
}

const (
	noSocket   = noVarlink + "\nInaccessiblePaths=-/run/systemd/private /run/dbus"
	noFiles    = "TemporaryFileSystem=/etc/systemd"
	rootFolder = "RootDirectory=/srv/root\nMountAPIVFS=yes\nBindReadOnlyPaths=/usr /lib -/lib64 /bin"
)

var infinite = systemd.Timeout{Infinite: true}

func seconds(n int) systemd.Timeout {
	return systemd.Timeout{Duration: time.Duration(n) * time.Second}
}

func from(s systemd.Source) systemd.Timeout { return systemd.Timeout{Source: s} }

func before262(s systemd.Source) map[sdtest.Version]systemd.Source {
	return map[sdtest.Version]systemd.Source{sdtest.V252: s, sdtest.V257: s}
}

// drops takes a path and a number of seconds each.
func drops(texts ...string) map[string]string {
	files := map[string]string{}
	for _, text := range texts {
		path, seconds, _ := strings.Cut(text, " ")
		files[path] = "[Service]\nTimeoutStopSec=" + seconds + "\n"
	}
	return files
}

// asks is the way in which this systemd is asked if nothing forbids it.
func asks(v sdtest.Version) systemd.Source {
	if v >= sdtest.V262 {
		return systemd.Varlink
	}
	return systemd.DBus
}
