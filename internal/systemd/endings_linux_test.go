package systemd_test

import (
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	rendered "github.com/heirloom-go/heirloom/units"
)

// An ending is a way to bring SIGTERM upon a service, and what comes of it. In
// the texts, %u is the name of the service without its suffix.
type ending struct {
	name    string
	service string   // more lines
	other   string   // a unit %u-other.service
	start   string   // what to start
	end     []string // commands
	fate    fate
	on      on // where it is another one
}

type on map[sdtest.Version]fate

// The fate of the file descriptor store. Only with the first must Ending be
// true.
type fate string

const (
	thrownAway fate = "thrown away by the job stop"
	passedOn   fate = "passed on to the next process"
	kept       fate = "kept for when the unit is started"
	lost       fate = "thrown away without the job stop"
	withheld   fate = "thrown away before the next process"
)

const (
	other  = "[Service]\nExecStart=/bin/sleep infinity\n"
	bound  = "[Unit]\nAfter=%u-other.service\nBindsTo=%u-other.service"
	partOf = "[Unit]\nPartOf=%u-other.service"
)

var endings = []ending{
	{name: "stop", end: []string{"systemctl stop %u"}, fate: thrownAway},
	{name: "restart", end: []string{"systemctl restart %u"}, fate: passedOn},
	{name: "kill", end: []string{"systemctl kill -s TERM %u"}, fate: lost},
	{name: "try-restart", end: []string{"systemctl try-restart %u"}, fate: passedOn},
	{name: "reload-or-restart", end: []string{"systemctl reload-or-restart %u"}, fate: passedOn},
	{name: "kill-always", service: "Restart=always", end: []string{"systemctl kill -s TERM %u"}, fate: passedOn},
	{name: "runtime-max", service: "RuntimeMaxSec=100ms", fate: lost},
	{name: "part-of-stop", service: partOf, other: other, start: "%u-other %u", end: []string{"systemctl stop %u-other"}, fate: thrownAway},
	{name: "part-of-restart", service: partOf, other: other, start: "%u-other %u", end: []string{"systemctl restart %u-other"}, fate: passedOn},
	{name: "bound-stop", service: bound, other: other, end: []string{"systemctl stop %u-other"}, fate: thrownAway},
	{name: "bound-restart", service: bound, other: other, end: []string{"systemctl restart %u-other"}, fate: passedOn},
	{name: "bound-death", service: bound, other: other, end: []string{"systemctl kill -s KILL %u-other"}, fate: thrownAway},
	{name: "conflict", other: "[Unit]\nConflicts=%u.service\n" + other, end: []string{"systemctl start %u-other"}, fate: thrownAway},
	{name: "unneeded", service: "[Unit]\nStopWhenUnneeded=yes", other: "[Unit]\nRequires=%u.service\nAfter=%u.service\n" + other,
		start: "%u-other", end: []string{"systemctl stop %u-other"}, fate: thrownAway},
	{name: "isolate", end: []string{"systemctl isolate multi-user.target"}, fate: thrownAway},
	// ExecStop= goes on until the pipe is closed for writing, and SIGTERM
	// follows.
	{name: "stop-start", service: "ExecStop=/bin/cat /run/%u.pipe", fate: passedOn, end: []string{"mkfifo /run/%u.pipe",
		"systemctl stop --no-block %u", "exec 3>/run/%u.pipe; systemctl start --no-block %u", "rm /run/%u.pipe"}},
	{name: "preserve", service: "FileDescriptorStorePreserve=yes", other: "[Unit]\nWants=%u.service\n" + other, start: "%u-other %u",
		end: []string{"systemctl stop %u"}, fate: kept, on: on{sdtest.V252: thrownAway}},
	// 257 forgets a unit at once, and its store with it, that no other unit
	// refers to.
	{name: "preserve-alone", service: "FileDescriptorStorePreserve=yes", end: []string{"systemctl stop %u"}, fate: kept,
		on: on{sdtest.V252: thrownAway, sdtest.V257: lost}},
	{name: "no-preserve", service: "FileDescriptorStorePreserve=no", end: []string{"systemctl stop %u"}, fate: thrownAway},
	{name: "no-preserve-restart", service: "FileDescriptorStorePreserve=no", end: []string{"systemctl restart %u"}, fate: withheld,
		on: on{sdtest.V252: passedOn}},
}

// An account is how a service is run.
type account struct {
	name    string
	service string // more lines
	since   sdtest.Version
	endings int            // how many of the endings are tried
	err     string         // what its daemon's errors match, if it cannot ask
	able    sdtest.Version // where it can ask all the same
}

// few is how many of the endings are tried where not all are.
const few = 3

var accounts = []account{
	{name: "root", endings: len(endings)},
	{name: "nobody", service: "User=nobody", endings: len(endings)},
	{name: "sandbox-root", service: sandbox("User=root"), endings: few},
	{name: "sandbox-nobody", service: sandbox("User=nobody"), endings: few},
	// The process is the first of a process namespace. 257 kills every tenth
	// such service when it says that it is ready.
	{name: "first", service: "PrivatePIDs=yes", since: sdtest.V262, endings: few},
	// dbus-daemon disconnects whom it cannot look up, and systemd starts it so
	// that it does not find dynamic users.
	{name: "dynamic", service: "DynamicUser=yes", endings: few, err: "unanswered not-exist", able: sdtest.V262},
	{name: "sandbox-dynamic", service: sandbox("DynamicUser=yes"), endings: few, err: "unanswered not-exist", able: sdtest.V262},
	{name: "no-bus", service: "User=nobody\nInaccessiblePaths=/run/dbus", endings: 1, err: "unanswered not-exist permission", able: sdtest.V262},
	{name: "no-socket", service: "User=nobody\nTemporaryFileSystem=/run/dbus", endings: 1, err: "unanswered not-exist", able: sdtest.V262},
	// Older ones have no varlink.
	{name: "no-varlink-root", service: noVarlink, since: sdtest.V262, endings: few},
	{name: "no-varlink-nobody", service: noVarlink + "\nUser=nobody", since: sdtest.V262, endings: few},
	{name: "nothing", service: noVarlink + "\nUser=nobody\nInaccessiblePaths=/run/dbus", since: sdtest.V262, endings: 1, err: "unanswered permission"},
}

const noVarlink = "InaccessiblePaths=-/run/systemd/io.systemd.Manager"

// cannotAsk reports whether the account cannot ask this systemd.
func (a account) cannotAsk(v sdtest.Version) bool { return a.err != "" && (a.able == 0 || v < a.able) }

// sandbox returns how package units locks up a service, with another user.
func sandbox(user string) string {
	files, err := rendered.Service{Name: "hello", Program: "/usr/bin/hello"}.Render(rendered.Oldest)
	if err != nil {
		return err.Error()
	}
	_, lines, _ := strings.Cut(files[0].Text, "DynamicUser=yes\n")
	lines, _, _ = strings.Cut(lines, "\n[Install]")
	return user + "\n" + lines
}
