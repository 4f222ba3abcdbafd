//go:build !unix

package lifecycle

import "os"

var (
	defaultReloadSignals = []os.Signal{}
	defaultStopSignals   = []os.Signal{os.Interrupt}
)

func isPrivate(string) bool { return true }
