package show

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalWidth returns how many columns the terminal f has, 0 if it does not
// say, and whether f is a terminal at all.
func terminalWidth(f *os.File) (columns int, ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		if ok = err == nil; ok {
			columns = int(size.Col)
		}
	})
	return columns, ok && err == nil
}
