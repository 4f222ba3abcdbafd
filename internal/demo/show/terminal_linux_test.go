package show_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/demo/show"
)

// openTerminal returns both ends of a new pseudoterminal: the one of the screen, and the one of programs.
func openTerminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	var unlockErr, numberErr, sizeErr error
	err = raw.Control(func(fd uintptr) {
		unlockErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numberErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		sizeErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 60, Col: 80})
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

// TestPlain has terminals that are not to be drawn on.
func TestPlain(t *testing.T) {
	_, tty := openTerminal(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, term, noColor string
		file                *os.File
		want                bool
	}{
		{"terminal", "xterm", "", tty, true},
		{"NO_COLOR", "xterm", "1", tty, false},
		{"dumb", "dumb", "", tty, false},
		{"unknown", "", "", tty, false},
		{"no terminal", "xterm", "", file, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TERM", test.term)
			t.Setenv("NO_COLOR", test.noColor)
			if got := show.IsLive(test.file); got != test.want {
				t.Errorf("live: %t, want %t", got, test.want)
			}
		})
	}
	_, _ = tty.Close(), file.Close()
}
