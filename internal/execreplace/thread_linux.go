package execreplace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that ends with it, and returns when it has ended:
// only then are the files closed that a descriptor table of its own held open,
// beside whoever closed them meanwhile.
func onThread(f func() error) error {
	type outcome struct {
		tid int
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread() // and never unlock it: Go ends the thread of a goroutine that ends locked
		tid := unix.Gettid()
		if tid != os.Getpid() {
			done <- outcome{tid, f()}
			return
		}
		// All but the main thread, which Go parks for ever (mexit in
		// src/runtime/proc.go). While it is locked here, another goroutine gets
		// another one.
		defer runtime.UnlockOSThread()
		done <- outcome{0, onThread(f)}
	}()
	result := <-done
	if result.tid != 0 {
		awaitEnd(result.tid)
	}
	return result.err
}

// awaitEnd waits until the thread is gone, which takes some 0.1 ms. Nothing
// tells of it, so this asks; and not for ever, because under a tracer a thread
// stays until the tracer has seen it, with its files closed.
func awaitEnd(tid int) {
	for range 10_000 {
		if unix.Tgkill(os.Getpid(), tid, 0) != nil {
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// ownTable gives this thread a copy of the descriptor table for itself. The
// seccomp profile of Docker permits close_range and, without CAP_SYS_ADMIN,
// refuses unshare; before Linux 5.9 there is only unshare.
func ownTable() error {
	err := unix.CloseRange(^uint(0), ^uint(0), unix.CLOSE_RANGE_UNSHARE) // and close none
	if err == nil {
		return nil
	}
	if second := unix.Unshare(unix.CLONE_FILES); second != nil {
		return fmt.Errorf("a descriptor table for one thread: close_range: %w, unshare: %w", err, second)
	}
	return nil
}

// ownDirectory gives this thread a root and working directory of its own, and
// reports whether it has. While execve runs, threads that share them with the
// one that called it cannot be created (fs->in_exec, for which copy_fs in the
// kernel's fork.c returns EAGAIN). Go, and the C library under cgo, try that
// again for a fifth of a second and then end the process, which on a busy
// machine is too soon.
//
// A seccomp filter may kill who asks, so under one nobody does: close_range is
// what ownTable needs there.
func ownDirectory() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err == nil && mode == 0 && unix.Unshare(unix.CLONE_FS) == nil
}

// mayExec finds out whether execve is permitted: no path at all is ENOENT,
// unless a seccomp filter says something else.
func mayExec() error {
	empty, none := new(byte), new(*byte)
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(empty)), uintptr(unsafe.Pointer(none)), uintptr(unsafe.Pointer(none)))
	if errno != unix.ENOENT {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, os.NewSyscallError("execve", errno))
	}
	return nil
}
