package fdutil

import (
	"errors"
	"syscall"
)

// IsShortage reports whether err says that this process, its user or the system
// has too much open, in flight or in memory, so that the same may succeed later
// or with less.
func IsShortage(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ETOOMANYREFS, syscall.ENOMEM, syscall.ENOBUFS,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
