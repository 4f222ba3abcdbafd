//go:build !linux

package lifecycle

import "os"

// Nothing is replaced in place here.
func ignoreSignals([]os.Signal) {}
