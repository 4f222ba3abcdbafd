package servicemanager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/systemd"
)

// execPID is the variable by which systemd (since 248) tells a process that it
// has started this very one.
const execPID = "SYSTEMD_EXEC_PID"

// A following says whether the one that listens on NOTIFY_SOCKET makes another
// process the main one when it is told MAINPID=, as systemd does. Others read
// READY=1 and ignore MAINPID=: supervisors, container engines, OpenRC. To them
// the service ends when this very process does.
type following struct {
	yes  bool
	none bool   // nobody is told anything: there is no NOTIFY_SOCKET
	why  string // not, or why that cannot be known
}

// findFollowing decides it once, before anything has changed: by the socket,
// by who started this process, and at last by asking.
//
// A predecessor that started this process beside itself has decided it already,
// and knew more: who started the first one.
func findFollowing(hasNotifier, hasPredecessor bool) following {
	switch {
	case os.Getpid() == 1:
		return following{why: "this is process 1 of its container or namespace, which ends with it"}
	case !hasNotifier:
		return following{none: true, why: "NOTIFY_SOCKET is not set"}
	case hasPredecessor:
		return following{yes: true}
	}
	if err := lookAtSocket(os.Getenv("NOTIFY_SOCKET")); err != nil {
		return following{why: err.Error()}
	}
	if startedBySystemd() {
		return following{yes: true}
	}
	return askFollowing(os.Getenv("NOTIFY_SOCKET"))
}

// lookAtSocket says why nobody can listen on a NOTIFY_SOCKET who knows the
// processes of this machine.
func lookAtSocket(address string) error {
	switch {
	case strings.HasPrefix(address, "vsock"):
		return fmt.Errorf("NOTIFY_SOCKET=%s is of another machine", address)
	case !strings.HasPrefix(address, "/"): // in the abstract namespace
		return nil
	}
	if _, err := os.Stat(address); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	if isNoSocket(address) {
		return fmt.Errorf("NOTIFY_SOCKET=%s is not a socket", address)
	}
	return nil
}

// isNoSocket reports whether a NOTIFY_SOCKET is something else, such as
// /dev/null, which stands for nobody.
func isNoSocket(address string) bool {
	info, err := os.Stat(address)
	return strings.HasPrefix(address, "/") && err == nil && info.Mode()&os.ModeSocket == 0
}

// startedBySystemd reports whether systemd executed this very process. A
// process below a wrapper or a supervisor inherits the variable with the pid of
// that one.
func startedBySystemd() bool {
	return os.Getenv(execPID) == strconv.Itoa(os.Getpid())
}

// askTimeout bounds that. A systemd that is busy answers late, and the service
// would be replaced in place for as long as it lives.
const askTimeout = 10 * time.Second

// askFollowing asks systemd, where that is who listens: one before 248 says
// nothing of whom it started, and a wrapper may be the main process of a
// service that may have another one.
func askFollowing(address string) following {
	if !isSystemds(address) {
		return following{why: fmt.Sprintf("NOTIFY_SOCKET=%s is not known to be systemd's: it does not say "+
			"that it started this process (%s=%s)", address, execPID, os.Getenv(execPID))}
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	main, err := systemd.AskMainProcess(ctx)
	switch {
	case err != nil:
		return following{why: fmt.Sprintf("something between systemd and this process started it (%s=%s), and systemd "+
			"does not say whether it takes another main process: %v", execPID, os.Getenv(execPID), err)}
	case main.Access == "all", main.Access != "none" && main.PID == os.Getpid():
		return following{yes: true}
	}
	return following{why: fmt.Sprintf("the main process of the unit is %d, this one is %d, and NotifyAccess=%s does not "+
		"let it name another one", main.PID, os.Getpid(), main.Access)}
}

// isSystemds reports whether an address is where systemd listens, that of the
// system or of a user.
func isSystemds(address string) bool {
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" && address == filepath.Join(run, "systemd/notify") {
		return true
	}
	return address == "/run/systemd/notify"
}
