package streams

import (
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// impatient has no client be waited for for long, until the test is over. It is
// called before there is one.
func impatient(t *testing.T) {
	t.Helper()
	part, handshake := partPatience, handshakePatience
	partPatience, handshakePatience = time.Millisecond, time.Millisecond
	t.Cleanup(func() { partPatience, handshakePatience = part, handshake })
}

func TestMain(m *testing.M) {
	// Clients do their part, however slow the machine is, but for those of tests
	// that are impatient.
	partPatience, handshakePatience = patience.Of(10*time.Minute), patience.Of(10*time.Minute)
	leakcheck.Main(m)
}
