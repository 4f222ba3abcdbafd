package leakcheck

import "time"

// ShortenLimit is for what leaks on purpose. What it returns undoes it.
func ShortenLimit() (undo func()) {
	before := limit
	limit = 100 * time.Millisecond
	return func() { limit = before }
}
