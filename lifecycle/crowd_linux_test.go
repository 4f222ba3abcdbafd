package lifecycle_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
)

// TestNearLargeLimit is TestNearLimit with as many connections as this process
// may itself have open: a table that is nearly full, of any size, moves soon.
func TestNearLargeLimit(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	limit := int(min(own.Cur, 20000))
	if len(exampletest.Race()) > 0 { // each connection is then a lot slower
		limit = min(limit, 8000)
	}
	if limit < 2000 {
		t.Skipf("RLIMIT_NOFILE is %d, too small for a crowd", limit)
	}
	testNearLimit(t, limit, limit-300, 0)
}
