package systemd

import (
	"errors"
	"time"
)

// ErrUnanswered is matched by the errors of [Ending] where there is a systemd,
// which could not be asked or did not give an answer that can be understood,
// and by those of [StopTimeout] when its other ways have failed too. What is
// known of the cause is wrapped as well: [context.DeadlineExceeded] and
// [context.Canceled] when ctx ended the wait, [io/fs.ErrNotExist] and
// [io/fs.ErrPermission] when its socket cannot be reached, for instance from a
// sandbox.
var ErrUnanswered = errors.New("the service manager gave no answer")

// StopTimeoutVariable is the environment variable by which a unit may tell its
// process the TimeoutStopSec= it has, as a time span of systemd.time(7) such as
// "1min 30s", where [StopTimeout] finds no other way. "0" and "infinity" stand
// for no limit, as they do in the unit.
const StopTimeoutVariable = "HEIRLOOM_STOP_TIMEOUT"

// ErrNoUnit is matched by the errors of [StopTimeout] where this process is not
// part of a service of systemd: it was started from a terminal, by a scope or
// by another supervisor.
var ErrNoUnit = errors.New("this process is not part of a systemd service")

// A Timeout is how long systemd lets the processes of a unit live after it has
// told them to stop: TimeoutStopSec= of systemd.service(5).
type Timeout struct {
	// Duration is at least a microsecond. It is 0 if Infinite is set.
	Duration time.Duration
	// Infinite says that systemd waits without a limit, or for longer than a
	// Duration can hold.
	Infinite bool
	// Source is the way by which the timeout was learned.
	Source Source
	// Detail is where exactly: the manager's socket, the file with the
	// assignment that counts (or [BuiltIn]), or the name of the environment
	// variable.
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

// BuiltIn is the [Timeout.Detail] of [UnitFile] when no file says anything, and
// systemd's own default of 90 seconds holds.
const BuiltIn = "built-in default"

// patience is how long a manager may take to answer on one of its sockets, of
// which there are three at most. It takes one or two milliseconds.
const patience = 150 * time.Millisecond
