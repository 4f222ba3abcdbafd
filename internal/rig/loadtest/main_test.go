package loadtest_test

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
