//go:build unix

package signals

import (
	"os"
	"syscall"
)

var (
	defaultReload = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2}
	defaultStop   = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	defaultStacks = []os.Signal{syscall.SIGUSR1}
)
