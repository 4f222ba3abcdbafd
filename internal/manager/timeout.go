package manager

import (
	"context"
	"errors"
	"time"
)

// StopTimeoutVariable is the environment variable by which a unit may tell its process the TimeoutStopSec= it has, as a time
// span of systemd.time(7) such as "1min 30s", where [StopTimeout] finds no other way. "0" and "infinity" stand for no
// limit, as they do in the unit.
const StopTimeoutVariable = "HEIRLOOM_STOP_TIMEOUT"

// ErrNoUnit is matched by the errors of [StopTimeout] where this process is not part of a service of systemd: it was started
// from a terminal, by a scope or by another supervisor.
var ErrNoUnit = errors.New("this process is not part of a systemd service")

// A Timeout is how long systemd lets the processes of a unit live after it has told them to stop: TimeoutStopSec= of
// systemd.service(5).
type Timeout struct {
	// Duration is at least a microsecond. It is 0 if Infinite is set.
	Duration time.Duration
	// Infinite says that systemd waits without a limit, or for longer than a Duration can hold.
	Infinite bool
	// Source is the way by which the timeout was learned.
	Source Source
	// Detail is where exactly: the manager's socket, the file with the assignment that counts (or [BuiltIn]), or the
	// name of the environment variable.
	Detail string
}

// A Source is a way to learn the timeout.
type Source string

// The sources, in the order in which [StopTimeout] tries them.
const (
	Varlink     Source = "varlink"
	DBus        Source = "D-Bus"
	UnitFile    Source = "unit file"
	Environment Source = "environment"
)

// BuiltIn is the [Timeout.Detail] of [UnitFile] when no file says anything, and systemd's own default of 90 seconds holds.
const BuiltIn = "built-in default"

// patience is how long a manager may take to answer on one of its sockets, of which there are three at most. It takes one
// or two milliseconds.
const patience = 150 * time.Millisecond

// StopTimeout returns the stop timeout of the service that this process belongs to, by the first of these ways that
// answers:
//
//   - [Varlink] asks the manager itself (systemd 262), and works with DynamicUser= and PrivatePIDs=.
//   - [DBus] asks the manager itself if this process is root's or the manager a user's, or the bus. dbus-daemon disconnects
//     users of DynamicUser=.
//   - [UnitFile] reads the unit's file and its drop-ins, and system.conf, as systemd does. It is told the unit's name by
//     /proc/self/cgroup, or finds $INVOCATION_ID in /run/systemd/units.
//   - [Environment] takes the value of [StopTimeoutVariable].
//
// To ask takes some two milliseconds, to read less than one. The managers tell what they will go by. Files may have changed since
// systemd read them (systemctl daemon-reload), which is why they come after. Folders that the sandbox hides count as empty: with
// InaccessiblePaths=/run/systemd, drop-ins made by "systemctl edit --runtime" are missed, and with RootDirectory= the files are
// the image's own. Where systemd was built with another default than 90 seconds, that is not known. Files of the user manager are
// looked for where systemd.unit(5) says they are if $XDG_CONFIG_DIRS and $XDG_DATA_DIRS are not set.
//
// A value that systemd would ignore as malformed in a file is ignored here too. A malformed [StopTimeoutVariable] is
// an error, if it comes to that.
//
// The error matches [ErrNoUnit], [ErrUnanswered] when all ways have failed, and then wraps each one's reason (one is
// [errors.ErrUnsupported] where no systemd is to be seen), or [errors.ErrUnsupported] alone on other systems than Linux. Where
// there is no unit, or the manager says that it is no service, [StopTimeoutVariable] still counts if it is set.
//
// A manager that keeps silent is given up after 150 ms for each socket, half a second at most in all, and no later than
// when ctx is done. The ways that ask nobody are tried even then. StopTimeout leaves neither a descriptor nor a goroutine
// behind, and may be called by many goroutines at once. It remembers nothing: a later call may tell another timeout.
func StopTimeout(ctx context.Context) (Timeout, error) { return stopTimeout(ctx, patience) }
