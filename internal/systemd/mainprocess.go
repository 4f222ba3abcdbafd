package systemd

import "context"

// A MainProcess is what a service manager says of the service that this process
// belongs to.
type MainProcess struct {
	// PID is its main process, 0 if there is none.
	PID int
	// Access is whose messages to NOTIFY_SOCKET it listens to: NotifyAccess=,
	// that is "none", "main", "exec" or "all".
	Access string
}

// AskMainProcess asks the service manager for the main process of the service
// that this process belongs to, over D-Bus.
//
// The error matches [ErrUnanswered], or [errors.ErrUnsupported] where there is
// no systemd to be seen. A manager that keeps silent, as one that is busy does,
// is asked again until ctx is done, which has to come: first after 150 ms for
// each of its sockets, and then after twice as long each time.
func AskMainProcess(ctx context.Context) (MainProcess, error) { return askMainProcess(ctx) }
