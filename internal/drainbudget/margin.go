package drainbudget

import "time"

// Margin returns how much earlier than the unit's TimeoutStopSec a drain breaks
// off the work it has not finished: a tenth, at least half a second, and at most
// two, but never more than a third.
func Margin(timeout time.Duration) time.Duration {
	return max(min(timeout/10, 2*time.Second), min(timeout/3, 500*time.Millisecond))
}
