package pty

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Open returns both ends of a new pseudoterminal of so many columns: the one of
// the screen and the keyboard, and the one of programs. Both are the caller's to
// close. When the screen is closed, the programs get SIGHUP, which to a daemon
// may mean a reload: end them first.
func Open(t testing.TB, columns uint16) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	var unlockErr, numberErr, sizeErr error
	err = raw.Control(func(fd uintptr) {
		unlockErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numberErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		sizeErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 60, Col: columns})
	})
	if err := errors.Join(err, unlockErr, numberErr, sizeErr); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, tty
}
