package execreplace

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// limits are the limits of open files: given for the new program, now for this
// one.
type limits struct{ given, now unix.Rlimit }

// limits finds out how many files this process was allowed when it was started.
// Package syscall raises the soft limit at start (to one less than the hard
// limit, src/syscall/rlimit.go) and keeps the original to itself, for
// syscall.Exec to give back. execve of no path at all fails, with ENOENT, after
// syscall.Exec has done so.
func (p *Program) limits() (limits, error) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return limits{}, os.NewSyscallError("getrlimit", err)
	}
	if p.limit != nil {
		return limits{*p.limit, now}, nil
	}
	if now.Cur != now.Max-1 {
		return limits{now, now}, nil // it was not raised, or the administrator has changed it since with prlimit(1)
	}
	_ = syscall.Exec("", []string{""}, nil)
	var given unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &given); err != nil {
		return limits{}, os.NewSyscallError("getrlimit", err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &now, nil); err != nil {
		return limits{}, os.NewSyscallError("prlimit", err)
	}
	p.limit = &given
	return limits{given, now}, nil
}
