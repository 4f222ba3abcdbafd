//go:build unix

package sockets

import (
	"os"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// fileOf identifies the path of a Unix socket; it is zero if there is none.
func fileOf(b handover.Bound) handover.FileID {
	path := pathOf(b)
	if path == "" {
		return handover.FileID{}
	}
	info, err := os.Lstat(path)
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
