package execreplace

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"golang.org/x/sys/unix"
)

// first is the descriptor after standard input, output and error.
const first = 3

// A stage is all that the last steps need, made ready beforehand, for a thread
// with a descriptor table of its own.
type stage struct {
	name       *byte // the path, or "" to start fd
	fd         int   // -1 to start name
	argv, envv **byte
	limits     limits
	moves      []move // which put the files in place
	undo       []move // which put back what was there
}

// A move duplicates from, which is close-on-exec, to the number to, or closes
// to if from is -1.
type move struct{ from, to int }

// prepare takes everything that is needed out of the way of the places of the
// files, in a table of this thread's own. It sets close-on-exec on all that is
// there; the files lose it when they are put in place.
func (s *stage) prepare(files []int) (err error) {
	if err := ownTable(); err != nil {
		return err
	}
	_ = ownDirectory()
	above := first + len(files)
	for i, fd := range files {
		from, err := fdutil.DuplicateFrom(fd, above)
		if err != nil {
			return fmt.Errorf("file %d of %d, descriptor %d: %w", i+1, len(files), fd, err)
		}
		s.moves = append(s.moves, move{from, first + i})
		saved, err := fdutil.DuplicateFrom(first+i, above)
		if err != nil && err != unix.EBADF {
			return fmt.Errorf("save descriptor %d: %w", first+i, err)
		}
		s.undo = append(s.undo, move{saved, first + i})
	}
	if s.fd >= 0 {
		if s.fd, err = fdutil.DuplicateFrom(s.fd, above); err != nil {
			return fmt.Errorf("descriptor of the program: %w", err)
		}
	}
	_ = unix.CloseRange(first, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11
	return nil
}

// perform returns only if the program could not be started.
func (s *stage) perform() error {
	step, errno := s.leap()
	runtime.KeepAlive(s)
	return os.NewSyscallError(step, errno)
}

// leap puts the files in place and starts the program; or takes them out again
// and says which system call failed.
//
// In between, this thread must run nothing of Go's scheduler or collector: the
// runtime would find other files at the numbers of its epoll instance and
// eventfd, wake the poller by writing into a listener (netpollBreak), and end
// the process. Hence only raw system calls, no allocation, and go:nosplit: such
// a function has no stack check and is not preempted by signals either, except
// in the instant of a call instruction (IsUnsafe in
// src/cmd/compile/internal/liveness/plive.go).
//
// So it cannot be syscall.Exec that starts the program, since that allocates.
// What is missed is its lock against the creation of threads (golang/go#19546):
// see ownDirectory.
//
//go:nosplit
//go:norace
func (s *stage) leap() (step string, errno unix.Errno) {
	step = "dup3"
	for i := range s.moves {
		if _, _, errno = unix.RawSyscall(unix.SYS_DUP3, uintptr(s.moves[i].from), uintptr(s.moves[i].to), 0); errno != 0 {
			break
		}
	}
	if errno == 0 {
		// As late as this: with the lower limit, the numbers above might have
		// been too high for dup3.
		_, _, _ = unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&s.limits.given)), 0, 0, 0)
		if s.fd < 0 {
			step = "execve"
			_, _, errno = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(s.name)),
				uintptr(unsafe.Pointer(s.argv)), uintptr(unsafe.Pointer(s.envv)))
		} else {
			step = "execveat"
			_, _, errno = unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(s.fd), uintptr(unsafe.Pointer(s.name)),
				uintptr(unsafe.Pointer(s.argv)), uintptr(unsafe.Pointer(s.envv)), unix.AT_EMPTY_PATH, 0)
		}
		_, _, _ = unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&s.limits.now)), 0, 0, 0)
	}
	for i := range s.undo {
		if s.undo[i].from < 0 {
			_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(s.undo[i].to), 0, 0)
		} else {
			_, _, _ = unix.RawSyscall(unix.SYS_DUP3, uintptr(s.undo[i].from), uintptr(s.undo[i].to), unix.O_CLOEXEC)
		}
	}
	return step, errno
}
