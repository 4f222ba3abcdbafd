package fdutil

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// first is the lowest number of a duplicate: standard input, output and error
// stay free.
const first = 3

// Control calls f with the descriptor of a socket or file, if it has one and is
// not closed.
func Control(file any, f func(fd int)) { _ = control(file, f) }

func control(file any, f func(fd int)) error {
	holder, ok := file.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no descriptor", file)
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// Duplicate returns a close-on-exec duplicate of the descriptor of a socket or
// file, which the caller owns. The duplicate shares the open file description.
func Duplicate(file any) (int, error) {
	dup, dupErr := -1, error(nil)
	err := control(file, func(fd int) { dup, dupErr = DuplicateFrom(fd, first) })
	if err = errors.Join(err, os.NewSyscallError("fcntl", dupErr)); err != nil {
		return -1, err
	}
	return dup, nil
}

// DuplicateFrom returns a close-on-exec duplicate of fd with the lowest free
// number from lowest on, or -1 and a bare unix.Errno. The caller owns it.
func DuplicateFrom(fd, lowest int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, lowest)
}

// CloseAll closes raw descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// Limit returns RLIMIT_NOFILE of this process, 0 if it is not known.
func Limit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// Free returns how many duplicates of fd there is room for, at most most.
func Free(fd, most int) int {
	var found []int
	defer func() { CloseAll(found) }()
	for len(found) < most {
		dup, err := DuplicateFrom(fd, 0)
		if err != nil {
			break
		}
		found = append(found, dup)
	}
	return len(found)
}
