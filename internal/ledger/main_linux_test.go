package ledger_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// TestMain is also the program that is killed: see server.
func TestMain(m *testing.M) {
	if os.Getenv("HEIRLOOM_TEST_ROLE") == "" {
		leakcheck.Main(m)
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}
