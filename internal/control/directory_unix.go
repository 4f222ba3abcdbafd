//go:build unix

package control

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// IsPrivate reports whether dir is a directory of this user into which no other
// may put files, and that no other may put another one in the place of.
func IsPrivate(dir string) bool { return WhyNotPrivate(dir) == nil }

// WhyNotPrivate says what another user may do to a directory.
func WhyNotPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, known := ownerOf(info)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case !known || owner != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, not to %d", dir, owner, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written to by others (mode %#o)", dir, info.Mode().Perm())
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if info, err = os.Stat(parent); err != nil {
		return err
	}
	owner, known = ownerOf(info)
	if !known || owner != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, who may move %s away", parent, owner, dir)
	}
	// In a sticky folder only the owner of a file may move it.
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("%s may be written to by others (mode %#o, not sticky), who may move %s away", parent, info.Mode().Perm(), dir)
	}
	return nil
}

// IsProtected reports whether only root and this user can make something in a
// directory: nobody else can in it or anywhere above.
func IsProtected(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
			return false
		}
		if owner, known := ownerOf(info); !known || owner != 0 && owner != os.Geteuid() {
			return false
		}
		above := filepath.Dir(dir)
		if above == dir {
			return true
		}
		dir = above
	}
}

func ownerOf(info os.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, false
	}
	return int(stat.Uid), true
}
