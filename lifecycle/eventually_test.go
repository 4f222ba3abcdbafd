package lifecycle_test

import (
	"errors"
	"time"
)

var errTimeout = errors.New("it did not come to pass in time")

// eventually waits for what tells nobody of its changes.
func eventually(cond func() bool) error {
	for deadline := time.Now().Add(15 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errTimeout
		}
	}
	return nil
}
