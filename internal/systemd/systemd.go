// Package systemd tells a process that is being stopped two things that it
// cannot see for itself: whether anything is to follow it, and how long it has.
// Both take what systemd answers on whichever of its sockets can be reached,
// and [StopTimeout] has other ways besides.
//
// A service that receives SIGTERM may be in the first half of a restart, in
// which case the next process takes over what is in the unit's file descriptor
// store; or it is stopped for good, and then systemd throws the store away, and
// a path in the file system that stood for a socket in it must not stay behind.
// The signal is the same. What differs is the job that systemd is running for
// the unit:
//
//	systemctl stop, isolate, poweroff, Conflicts=, StopWhenUnneeded=,
//	a stop of what the unit is PartOf=, a stop or a death of what it BindsTo=      job "stop"
//	systemctl restart, try-restart, reload-or-restart where nothing can be reloaded,
//	a restart of what the unit is PartOf= or BindsTo=                              job "restart"
//	systemctl stop, and then start while the unit still stops                      job "start"
//	systemctl kill, kill(1), RuntimeMaxSec=                                        no job
//
// Only the job "stop" is an ending, unless FileDescriptorStorePreserve=yes
// (systemd 254) keeps the store for whoever starts the unit next. Two things
// follow from that. Without a job Restart= decides whether somebody comes, once
// it is known how the process ended: that is never called an ending here,
// though it may turn out to be one. And FileDescriptorStorePreserve=yes is
// believed, though 257 throws the store away nevertheless when no other unit
// refers to this one.
//
//	<-terminated
//	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
//	defer cancel()
//	if ends, err := systemd.Ending(ctx); err == nil && ends {
//		err = os.Remove(path)
//	}
//
// The answer is about the moment. Asked before SIGTERM has arrived it is no
// more than a guess; and "systemctl start" while the unit still stops makes
// somebody follow after all, who must be ready to find the socket in the store
// without its path.
//
// How long the process has is what [StopTimeout] tells, for the deadline of
// whatever is to be finished before it goes:
//
//	timeout, err := systemd.StopTimeout(ctx)
//	if err == nil && !timeout.Infinite {
//		ctx, cancel = context.WithTimeout(ctx, timeout.Duration-time.Second)
//		defer cancel()
//	}
//
// The package needs Linux. Elsewhere it builds, and answers an error that
// matches [errors.ErrUnsupported].
package systemd

import "context"

// Ending reports whether systemd is stopping the unit of this process for good:
// the job of the unit is "stop", and nothing keeps its file descriptor store.
//
// It asks by varlink or D-Bus, which takes some milliseconds. There are up to
// three sockets, and one that refuses leads to the next. systemd 262 answers
// anybody by varlink, on a socket of its own. Before that, root asks the
// system's manager on its own D-Bus socket, and so does anybody their own user
// manager (of which $MANAGERPID tells), with no bus between them. Other users
// of the system's manager need the system bus: it disconnects those of
// DynamicUser= if it is dbus-daemon, which does not find them, and it is gone
// as soon as the machine is being shut down. Both are errors at once.
//
// The error matches [ErrUnanswered], or [errors.ErrUnsupported] where there is
// no systemd to be seen (sd_booted(3)), and then the answer is false. Ending
// returns when ctx is done, but until then waits for a peer that keeps silent:
// ctx should have a deadline. It leaves neither a descriptor nor a goroutine
// behind, and may be called by many goroutines at once.
func Ending(ctx context.Context) (bool, error) { return ending(ctx) }
