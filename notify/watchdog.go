package notify

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// WatchdogInterval returns the longest time that may pass between two Watchdog
// messages of this process, by $WATCHDOG_USEC and $WATCHDOG_PID, see
// sd_watchdog_enabled(3). Send one every half of that. It leaves the variables
// in place.
//
// Zero and nil mean that this process has no watchdog: WATCHDOG_USEC is unset
// or empty, or WATCHDOG_PID names another process, unless this is PID 1. A
// process that starts a successor rewrites or removes WATCHDOG_PID for it. A
// malformed variable gives an error that names it with its value and matches
// ErrInvalid. So does an interval that time.Duration cannot hold, above 292
// years.
func WatchdogInterval() (time.Duration, error) {
	usec := os.Getenv("WATCHDOG_USEC")
	if usec == "" {
		return 0, nil
	}
	interval, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || interval == 0 || interval > math.MaxInt64/uint64(time.Microsecond) {
		return 0, fmt.Errorf("%w: WATCHDOG_USEC=%q is not a number of microseconds above zero", ErrInvalid, usec)
	}
	pid := os.Getenv("WATCHDOG_PID")
	if pid == "" {
		return time.Duration(interval) * time.Microsecond, nil
	}
	watched, err := strconv.ParseInt(pid, 10, 32)
	if err != nil || watched <= 0 {
		return 0, fmt.Errorf("%w: WATCHDOG_PID=%q is not a process id", ErrInvalid, pid)
	}
	// With PrivatePIDs=yes systemd 257 names the process before this one.
	// This process is PID 1 of its own namespace, which has no older
	// process that the variable could mean.
	if int(watched) != os.Getpid() && os.Getpid() != 1 {
		return 0, nil
	}
	return time.Duration(interval) * time.Microsecond, nil
}
