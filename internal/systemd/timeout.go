package systemd

import "context"

// StopTimeout returns the stop timeout of the service that this process belongs
// to, by the first of these ways that answers:
//
//   - [Varlink] asks the manager itself (systemd 262), and works with
//     DynamicUser= and PrivatePIDs=.
//   - [DBus] asks the manager itself if this process is root's or the manager a
//     user's, or the bus. dbus-daemon disconnects users of DynamicUser=.
//   - [UnitFile] reads the unit's file and its drop-ins, and system.conf, as
//     systemd does. It is told the unit's name by /proc/self/cgroup, or finds
//     $INVOCATION_ID in /run/systemd/units.
//   - [Environment] takes the value of [StopTimeoutVariable].
//
// To ask takes some two milliseconds, to read less than one. The managers tell
// what they will go by. Files may have changed since systemd read them
// (systemctl daemon-reload), which is why they come after. Folders that the
// sandbox hides count as empty: with InaccessiblePaths=/run/systemd, drop-ins
// made by "systemctl edit --runtime" are missed, and with RootDirectory= the
// files are the image's own. Where systemd was built with another default than
// 90 seconds, that is not known. Files of the user manager are looked for where
// systemd.unit(5) says they are if $XDG_CONFIG_DIRS and $XDG_DATA_DIRS are not
// set.
//
// A value that systemd would ignore as malformed in a file is ignored here too.
// A malformed [StopTimeoutVariable] is an error, if it comes to that.
//
// The error matches [ErrNoUnit], [ErrUnanswered] when all ways have failed, and
// then wraps each one's reason (one is [errors.ErrUnsupported] where no systemd
// is to be seen), or [errors.ErrUnsupported] alone on other systems than Linux.
// Where there is no unit, or the manager says that it is no service,
// [StopTimeoutVariable] still counts if it is set.
//
// A manager that keeps silent is given up after 150 ms for each socket, half a
// second at most in all, and no later than when ctx is done. The ways that ask
// nobody are tried even then. StopTimeout leaves neither a descriptor nor a
// goroutine behind, and may be called by many goroutines at once. It remembers
// nothing: a later call may tell another timeout.
func StopTimeout(ctx context.Context) (Timeout, error) { return stopTimeout(ctx, patience) }
