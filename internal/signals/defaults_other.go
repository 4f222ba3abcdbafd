//go:build !unix

package signals

import "os"

var (
	defaultReload = []os.Signal{}
	defaultStop   = []os.Signal{os.Interrupt}
	defaultStacks = []os.Signal{}
)

func settle() {}
