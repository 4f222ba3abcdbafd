package exampletest

import (
	"os"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// Versions returns the systemds on which an example is tried: the newest, for
// the library itself is tested on all, and all if HEIRLOOM_TEST_ALL has the
// value "true".
func Versions() []sdtest.Version {
	if os.Getenv("HEIRLOOM_TEST_ALL") == "true" {
		return sdtest.Versions()
	}
	return []sdtest.Version{sdtest.V262}
}
