// Package stopmargin holds what a drain keeps of the unit's TimeoutStopSec, for the library that keeps it and the linter
// that reckons with it.
package stopmargin

import "time"

// Of returns how much earlier than the timeout a drain breaks off what it has not finished: a tenth, at least half a second, and at
// most two, but never more than a third.
func Of(timeout time.Duration) time.Duration {
	return max(min(timeout/10, 2*time.Second), min(timeout/3, 500*time.Millisecond))
}
