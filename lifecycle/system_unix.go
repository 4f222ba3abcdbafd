//go:build unix

package lifecycle

import (
	"os"
	"strings"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/handover"
)

var (
	defaultReloadSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2}
	defaultStopSignals   = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	defaultStackSignals  = []os.Signal{syscall.SIGUSR1}
)

// fileOf identifies the path of a Unix socket; it is zero if there is none.
func fileOf(b handover.Bound) handover.FileID {
	if !strings.HasPrefix(b.Network, "unix") || strings.HasPrefix(b.Address, "@") {
		return handover.FileID{}
	}
	info, err := os.Lstat(b.Address)
	if err != nil {
		return handover.FileID{}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return handover.FileID{}
	}
	return handover.FileID{Device: number(stat.Dev), Inode: stat.Ino}
}

// number is there for Stat_t.Dev, whose type is another one on each system.
func number[T ~int32 | ~uint32 | ~uint64](n T) uint64 { return uint64(n) }

// isPrivate reports whether dir is a directory of this user into which no other may put files.
func isPrivate(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
