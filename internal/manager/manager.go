// Package manager asks systemd the one thing that a process being stopped cannot see for itself: whether anything is to
// follow it.
//
// A service that receives SIGTERM may be in the first half of a restart, in which case the next process takes over what is in
// the unit's file descriptor store; or it is stopped for good, and then systemd throws the store away, and a path in the
// file system that stood for a socket in it must not stay behind. The signal is the same. What differs is the job that systemd
// is running for the unit:
//
//	systemctl stop, Conflicts=, a stop of what the unit is PartOf= or BindsTo=,
//	a failure of what it BindsTo=, StopWhenUnneeded=, isolate, poweroff, reboot    job "stop"
//	systemctl restart, try-restart, reload-or-restart without a reload,
//	a restart of what the unit is PartOf= or BindsTo=                              job "restart"
//	systemctl stop, and then start while it still stops                            job "start"
//	systemctl kill, kill(1), RuntimeMaxSec=, the process ends by itself            no job
//
// Only the job "stop" is an ending, unless FileDescriptorStorePreserve=yes (systemd 254) keeps the store for whoever starts
// the unit next. Without a job, Restart= decides what follows, and so does how the process ends, which nobody knows yet.
//
//	<-terminated
//	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
//	defer cancel()
//	if ends, err := manager.Ending(ctx); err == nil && ends {
//		err = os.Remove(path)
//	}
//
// The answer is about this moment: whoever types "systemctl start" a moment later makes something follow after all. It is
// right for as long as the unit stops if it is asked after the signal has arrived, and may be early if asked before.
//
// The package needs Linux. Elsewhere it builds, and answers an error that matches [errors.ErrUnsupported].
package manager

import (
	"context"
	"errors"
)

// ErrUnanswered is matched by the errors of [Ending] where there is a systemd, which could not be asked or did not give
// an answer that can be understood. What is known of the cause is wrapped as well: [context.DeadlineExceeded] and
// [context.Canceled] when ctx ended the wait, [io/fs.ErrNotExist] and [io/fs.ErrPermission] when its socket cannot be reached,
// for instance from a sandbox.
var ErrUnanswered = errors.New("the service manager gave no answer")

// Ending reports whether systemd is stopping the unit of this process for good: the job of the unit is "stop", and
// nothing keeps its file descriptor store.
//
// It asks over D-Bus, and takes a millisecond or two. Root reaches the system's manager, and anybody their own user manager
// (which $MANAGERPID tells of), without a bus: by the socket on which the manager itself listens. Other users of the system's
// manager need the system bus. If that is dbus-daemon it turns away users whom it cannot look up, which those of
// DynamicUser= are unless the machine has nss-systemd.
//
// The error matches [ErrUnanswered], or [errors.ErrUnsupported] where there is no systemd, and the answer is false then.
// Ending returns soon after ctx is done, whatever the other side does, but before that it may wait as long as the other
// side keeps silent: ctx should have a deadline. It leaves no descriptor open, and its goroutines end when it returns.
// Goroutines may call it at the same time.
func Ending(ctx context.Context) (bool, error) { return ending(ctx) }
