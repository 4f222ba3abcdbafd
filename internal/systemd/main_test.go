package systemd_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// roleVariable makes the test binary play a part instead of testing.
const roleVariable = "MANAGER_TEST_ROLE"

// roles are added to where they are played.
var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	role, found := os.LookupEnv(roleVariable)
	if !found {
		leakcheck.Main(m)
	}
	if err := roles[role](); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}
