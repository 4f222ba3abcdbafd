package notify

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// WatchdogInterval returns how often this process must send Watchdog at the least, by $WATCHDOG_USEC and
// $WATCHDOG_PID, see sd_watchdog_enabled(3). Send it every half of that. It leaves the variables in place.
//
// Zero and nil mean that no watchdog is on for this process: WATCHDOG_USEC is unset or empty, or WATCHDOG_PID names
// another process. A process that starts a successor rewrites or removes WATCHDOG_PID for it. A malformed variable gives
// an error that names it with its value and matches ErrInvalid; so does an interval beyond what time.Duration holds, 292
// years.
func WatchdogInterval() (time.Duration, error) {
	usec := os.Getenv("WATCHDOG_USEC")
	if usec == "" {
		return 0, nil
	}
	interval, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || interval == 0 || interval > math.MaxInt64/uint64(time.Microsecond) {
		return 0, fmt.Errorf("%w: WATCHDOG_USEC=%q is no number of microseconds above zero", ErrInvalid, usec)
	}
	pid := os.Getenv("WATCHDOG_PID")
	if pid == "" {
		return time.Duration(interval) * time.Microsecond, nil
	}
	watched, err := strconv.ParseInt(pid, 10, 32)
	if err != nil || watched <= 0 {
		return 0, fmt.Errorf("%w: WATCHDOG_PID=%q is no process id", ErrInvalid, pid)
	}
	if int(watched) != os.Getpid() {
		return 0, nil
	}
	return time.Duration(interval) * time.Microsecond, nil
}
