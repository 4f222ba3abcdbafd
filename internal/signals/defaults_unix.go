//go:build unix

package signals

import (
	"os"
	"os/signal"
	"syscall"
)

var (
	defaultReload = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2}
	defaultStop   = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	defaultStacks = []os.Signal{syscall.SIGUSR1}
)

// settle waits until package signal has delivered all that it has by now, as
// signal.Stop does. The runtime keeps its handler of SIGWINCH, whose default is
// to do nothing.
func settle() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	signal.Stop(c)
}
