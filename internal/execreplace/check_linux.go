package execreplace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxScripts is how many scripts may be each other's interpreter (depth in
// exec_binprm, fs/exec.c).
const maxScripts = 5

// atExecveCheck makes execveat ask only (Linux 6.14).
const atExecveCheck = 0x10000

// openPath opens any file without effect on it: a FIFO does not block, a device
// is not woken.
func openPath(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// checkPath is check of the file that path names, which the error does not name
// except where it is an interpreter's.
func checkPath(path string, scripts int) error {
	fd, err := openPath(path)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer unix.Close(fd)
	return check(fd, scripts)
}

// check finds out whether the kernel would start the file, to which so many
// scripts have led.
func check(fd, scripts int) error {
	if scripts > maxScripts {
		return fmt.Errorf("more than %d scripts one after the other: %w", maxScripts, unix.ELOOP)
	}
	if err := checkAccess(fd); err != nil {
		return err
	}
	file, err := reopen(fd)
	if errors.Is(err, os.ErrPermission) {
		return nil // to be executed but not read
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return checkContent(file, scripts)
}

// checkAccess asks what execve asks of a file before it looks inside.
func checkAccess(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("not a regular file: %w", unix.EACCES)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, link(fd), unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("not to be executed: %w", err)
	}
	return checkSecurity(fd)
}

// checkSecurity asks the security modules, where no other thread is in the way
// of that: to the kernel it is an execve until it is answered. What they forbid
// otherwise shows when the program is to start.
func checkSecurity(fd int) error {
	return onThread(func() error {
		if !ownDirectory() {
			return nil
		}
		return askSecurity(fd)
	})
}

// askSecurity passes over the errors of older kernels, and of a file that is
// being written, which it need not be any more when the time has come.
func askSecurity(fd int) error {
	empty, args := new(byte), []*byte{new(byte), nil}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&args[1])), unix.AT_EMPTY_PATH|atExecveCheck, 0)
	switch errno {
	case 0, unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.ETXTBSY:
		return nil
	}
	return fmt.Errorf("not to be executed: %w", errno)
}

// reopen opens for reading the very file that an O_PATH descriptor stands for.
func reopen(fd int) (*os.File, error) {
	return os.Open(link(fd))
}

func link(fd int) string {
	return "/proc/self/fd/" + strconv.Itoa(fd)
}

func checkContent(file *os.File, scripts int) error {
	start := make([]byte, scriptLine)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return err
	}
	start = start[:n]
	if isScript(start) {
		interpreter, err := parseScript(start)
		if err != nil {
			return err
		}
		return wrapInterpreter(interpreter, checkPath(interpreter, scripts+1))
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	interpreter, err := parseELF(file, info.Size())
	if err != nil || interpreter == "" {
		return err
	}
	return wrapInterpreter(interpreter, checkLoader(interpreter))
}

// checkLoader is check of an ELF program's interpreter, which must be ELF
// itself and whose own is not looked for.
func checkLoader(path string) error {
	fd, err := openPath(path)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer unix.Close(fd)
	if err := checkAccess(fd); err != nil {
		return err
	}
	file, err := reopen(fd)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = parseELF(file, info.Size())
	return err
}

func wrapInterpreter(path string, err error) error {
	if err != nil {
		return fmt.Errorf("interpreter %s: %w", path, err)
	}
	return nil
}
