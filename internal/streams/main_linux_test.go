package streams

import (
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

func TestMain(m *testing.M) {
	// Only tests of clients that never do their part wait for as long.
	partPatience, handshakePatience = patience.Of(time.Second), patience.Of(time.Second)
	leakcheck.Main(m)
}
