package notify

import (
	"syscall"
	"time"
)

// A State is one assignment to send to the manager, made by the functions of
// this package. It is a value: you may keep it and send it again. The zero
// State is not valid. A message holds at most one State of each kind, since the
// manager reads only the first.
//
// Making a State never fails. Notify refuses a value that the protocol does not
// allow.
type State struct {
	key      key
	text     string         // the value, if it is not a number
	number   int64          // the value, if isNumber
	name     string         // FDNAME
	fds      []int          // attached, the caller's
	conns    []syscall.Conn // attached, the caller's
	isNumber bool
}

// Ready says that the service is up, or that its reload is done, even if the
// reload failed: READY=1. A manager waits for it with Type=notify and
// Type=notify-reload, and with any type after Reloading.
func Ready() State { return State{key: ready, text: "1"} }

// Reloading says that a reload starts: RELOADING=1, with the time of sending on
// CLOCK_MONOTONIC as MONOTONIC_USEC. Without that time Type=notify-reload
// (systemd 253) does not take the message for the reply to its SIGHUP. Ready
// must follow.
func Reloading() State { return State{key: reloading, text: "1"} }

// Stopping says that the service is stopping: STOPPING=1. Since systemd 259 the
// service cannot take it back. Only the service as a whole says it, never a
// process that hands over to a successor: it wins over any other state in the
// message, and the manager stops the unit.
func Stopping() State { return State{key: stopping, text: "1"} }

// Status sets the line of text that `systemctl status` shows: STATUS=. The
// empty string clears the line.
//
// Any text is allowed, so a message never fails for its Status, such as a
// READY=1 beside the text of an error. Notify sends it as UTF-8 that shows in
// one line of a terminal and does nothing else there. A line break becomes a
// space. A byte that is not UTF-8, or a character that does not print (a NUL
// byte, an escape), becomes U+FFFD. A message may be 4096 bytes long in all. A
// text that does not fit is cut between two characters, and ends in three dots.
func Status(text string) State { return State{key: status, text: text} }

// Errno reports why the service failed, as an error number from 0 to 4095:
// ERRNO=.
func Errno(errno syscall.Errno) State { return numberState(errnoKey, int64(errno)) }

// BusError reports why the service failed, as the name of a D-Bus error:
// BUSERROR=, which systemd 252 ignores and 257 reads. The name is printable
// ASCII without quotes and backslashes. The empty string clears it.
func BusError(name string) State { return State{key: busError, text: name} }

// VarlinkError is BusError for a Varlink error: VARLINKERROR= (systemd 257).
func VarlinkError(name string) State { return State{key: varlinkError, text: name} }

// ExitStatus reports the exit status, 0 to 255: EXIT_STATUS= (systemd 254).
// systemd sends it to the manager above it, and ignores one that it receives.
func ExitStatus(status int) State { return numberState(exitStatus, int64(status)) }

// MainPID makes pid the main process of the service: MAINPID=. The manager
// reads the number in its own PID namespace.
func MainPID(pid int) State { return numberState(mainPID, int64(pid)) }

// MainPIDFDID guards MainPID, which must be in the same message, against a
// reused pid: MAINPIDFDID= (systemd 257). The id is the inode number of a pidfd
// of the process, as fstat(2) gives it on Linux 6.9 and later.
func MainPIDFDID(id uint64) State { return numberState(mainPIDFDID, int64(id)) }

// MainPIDFD makes the process behind pidfd the main process: MAINPIDFD=1
// (systemd 257). It wins over a MainPID in the same message, which older
// managers read instead. The caller keeps pidfd, and keeps it open until Notify
// returns. The message may have no other descriptors.
func MainPIDFD(pidfd int) State { return State{key: mainPIDFD, text: "1", fds: []int{pidfd}} }

// Watchdog says that the service is alive: WATCHDOG=1. WatchdogInterval says
// how often to send it.
func Watchdog() State { return State{key: watchdog, text: "1"} }

// WatchdogTrigger makes the manager act as if the service had missed its
// watchdog: WATCHDOG=trigger (systemd 243).
func WatchdogTrigger() State { return State{key: watchdog, text: "trigger"} }

// WatchdogUsec sets the watchdog interval to d, rounded up to whole
// microseconds: WATCHDOG_USEC=. Zero turns the watchdog off, and a negative
// interval is invalid. The variable that WatchdogInterval reads does not
// change.
func WatchdogUsec(d time.Duration) State { return numberState(watchdogUsec, microseconds(d)) }

// ExtendTimeout asks that the current timeout, of starting, running or
// stopping, and that of the watchdog do not end within d from now, rounded up
// to whole microseconds: EXTEND_TIMEOUT_USEC= (systemd 236). It never shortens
// a timeout. Zero does nothing, and a negative d is invalid.
func ExtendTimeout(d time.Duration) State { return numberState(extendTimeout, microseconds(d)) }

// RestartReset sets the count of automatic restarts to zero, and with it the
// growing delay between them: RESTART_RESET=1 (systemd 258).
func RestartReset() State { return State{key: restartReset, text: "1"} }

// NotifyAccess replaces the unit's NotifyAccess=, which says from which
// processes the manager accepts messages: none, main, exec or all.
// NOTIFYACCESS= (systemd 254).
func NotifyAccess(access string) State { return State{key: notifyAccess, text: access} }

// FDStore puts copies of the descriptors into the service's store, under name:
// FDSTORE=1, FDNAME=. The next process of the service is started with them,
// until it is stopped. One message stores at least one descriptor and at most
// 253, SCM_MAX_FD of unix(7), all under one name.
//
// The name is up to 255 bytes of printable ASCII without a colon. With the
// empty name there is no FDNAME, and the manager uses "stored". The manager
// drops a descriptor at once if it is the same as a stored one or the store is
// full (FileDescriptorStoreMax=). It drops a descriptor later when poll reports
// an error or hang-up on it, unless the message has FDStoreNoPoll.
//
// The caller keeps its descriptors. They must stay open until Notify returns,
// or its error matches syscall.EBADF. After that the caller may close them: the
// kernel has its own references in the message. Never pass a descriptor from
// (*os.File).Fd() of a live socket, which turns off O_NONBLOCK for every
// process that shares it: FDStoreConn takes the socket itself. If more
// descriptors are in flight than the process may have open, the error of Notify
// matches syscall.ETOOMANYREFS. After a Barrier none are in flight.
func FDStore(name string, fds ...int) State {
	return State{key: fdStore, text: "1", name: name, fds: fds}
}

// FDStoreConn is FDStore for the descriptors of sockets and files:
// *net.TCPListener, *net.UnixConn, *os.File and so on. The caller keeps them.
// They may be in use. If another goroutine closes one during Notify, its Close
// waits until Notify has returned. If one is closed already, Notify fails with
// an error that matches ErrInvalid.
func FDStoreConn(name string, conns ...syscall.Conn) State {
	return State{key: fdStore, text: "1", name: name, conns: conns}
}

// FDStoreNoPoll, in one message with FDStore or FDStoreConn, keeps the
// descriptors stored even when poll reports an error or a hang-up on them:
// FDPOLL=0 (systemd 246). Remove them with FDStoreRemove.
func FDStoreNoPoll() State { return State{key: fdPoll, text: "0"} }

// FDStoreRemove removes all descriptors of that name, which must not be empty,
// from the store: FDSTOREREMOVE=1, FDNAME= (systemd 236). It cannot share a
// message with FDStore.
func FDStoreRemove(name string) State { return State{key: fdStoreRemove, text: "1", name: name} }

func numberState(k key, number int64) State {
	return State{key: k, number: number, isNumber: true}
}

// microseconds rounds away from zero, so that a short wait does not become
// zero, and a negative one does not become valid.
func microseconds(d time.Duration) int64 {
	usec := int64(d / time.Microsecond)
	switch rest := d % time.Microsecond; {
	case rest > 0:
		usec++
	case rest < 0:
		usec--
	}
	return usec
}
