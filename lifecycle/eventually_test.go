package lifecycle_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

var errTimeout = errors.New("it did not come to pass in time")

// eventually waits for what tells nobody of its changes.
func eventually(cond func() bool) error {
	if !patience.Until(30*time.Second, cond) {
		return errTimeout
	}
	return nil
}

// span is a limit in time for this machine, as both Go and systemd write it.
func span(d time.Duration) string { return fmt.Sprintf("%dms", patience.Of(d).Milliseconds()) }
