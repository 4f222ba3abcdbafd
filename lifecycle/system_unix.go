//go:build unix

package lifecycle

import (
	"os"
	"syscall"
)

var (
	defaultReloadSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2}
	defaultStopSignals   = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
)

// isPrivate reports whether dir is a directory of this user into which no other may put files.
func isPrivate(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
