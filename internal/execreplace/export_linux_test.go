package execreplace

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rehearse tries to start a program with too long an argument, and returns the
// descriptors of the thread that did so, before and after the last steps.
func Rehearse(files []int, tooLong []string) (before, after map[int]string, err error) {
	argv, err := syscall.SlicePtrFromStrings(tooLong)
	if err != nil {
		return nil, nil, err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, nil, err
	}
	program, err := openPath("/proc/self/exe")
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(program)
	err = onThread(func() error {
		s := &stage{name: new(byte), fd: program, argv: &argv[0], envv: new(*byte), limits: limits{limit, limit}}
		if err := s.prepare(files); err != nil {
			return err
		}
		before = ofThread()
		err := s.perform()
		after = ofThread()
		return err
	})
	return before, after, err
}

func ofThread() map[int]string {
	open := map[int]string{}
	for fd := range 128 {
		if what, err := os.Readlink("/proc/thread-self/fd/" + strconv.Itoa(fd)); err == nil {
			open[fd] = what
		}
	}
	return open
}

// ForkSharing forks a process that has the directories of this one, as a thread
// has them, and ends at once.
//
//go:nosplit
//go:norace
func ForkSharing() (pid int, errno unix.Errno) {
	child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_FS|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && child == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return int(child), errno
}

// Directories returns where the thread is that would start a program, when it
// has gone to the root, and where the process is.
func Directories() (thread, process string, err error) {
	err = onThread(func() error {
		s := &stage{fd: -1}
		if err := s.prepare(nil); err != nil {
			return err
		}
		if err := unix.Chdir("/"); err != nil {
			return err
		}
		if thread, err = os.Readlink("/proc/thread-self/cwd"); err != nil {
			return err
		}
		process, err = os.Readlink("/proc/self/cwd")
		return err
	})
	return thread, process, err
}
