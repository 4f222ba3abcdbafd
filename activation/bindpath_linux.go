package activation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxPath  = 107 // sun_path of unix(7) less the NUL
	lockWait = 5 * time.Second
	lockPoll = 5 * time.Millisecond
)

// bindUnix calls bind, and once more if a dead process's socket was in the way.
// The first attempt needs no lock: bind(2) itself never replaces anything.
func bindUnix[T any](path string, bind func() (T, error)) (T, error) {
	var none T
	if err := checkPath(path); err != nil {
		return none, err
	}
	value, err := bind()
	if err == nil || isAbstract(path) {
		return value, err
	}
	if !errors.Is(err, unix.EADDRINUSE) {
		return none, missingDirectory(path, err)
	}
	return rebind(path, lockWait, bind)
}

// rebind removes the stale socket and binds again, all under the directory's
// lock. Only holders of the lock remove, so what the probe found dead is what
// is removed; a bind that slips in between makes ours fail, as it should.
func rebind[T any](path string, wait time.Duration, bind func() (T, error)) (T, error) {
	var none T
	unlock, err := lockDirectory(filepath.Dir(path), wait)
	if err != nil {
		return none, fmt.Errorf("activation: %s: %w, and cannot tell whether it is stale: %w", path, unix.EADDRINUSE, err)
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return none, err
	}
	return bind()
}

// isAbstract says whether no file belongs to the name. The empty name lets the
// kernel choose an abstract one.
func isAbstract(path string) bool {
	return path == "" || path[0] == '@' || path[0] == 0
}

func checkPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("activation: %q has %d bytes, a Unix socket's path at most %d: %w", path, len(path), maxPath, unix.ENAMETOOLONG)
	}
	if !isAbstract(path) && strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("activation: the path %q has a NUL byte: %w", path, ErrMalformed)
	}
	return nil
}

// missingDirectory makes plain what "bind: no such file or directory" is about.
func missingDirectory(path string, err error) error {
	dir := filepath.Dir(path)
	if _, statErr := os.Stat(dir); errors.Is(statErr, fs.ErrNotExist) {
		return fmt.Errorf("activation: the directory %s is not there: %w", dir, err)
	}
	return err
}

// lockDirectory takes the lock by trying again and again: flock(2) cannot be
// given a time, and anyone who may read the directory can hold it for long, as
// programs do to keep systemd-tmpfiles out.
func lockDirectory(dir string, wait time.Duration) (unlock func(), err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(lockPoll) {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = unix.Close(fd) }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			_ = unix.Close(fd)
			return nil, &fs.PathError{Op: "flock", Path: dir, Err: err}
		}
	}
}

// removeStale unlinks the path if it is a socket without a process, and says
// what it is otherwise.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("activation: %s is %s, which is left alone: %w", path, describe(path, info), unix.EADDRINUSE)
	}
	switch err := probe(path); {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("activation: the stale socket: %w", err)
		}
		return nil
	case err == nil || errors.Is(err, unix.EPROTOTYPE):
		return fmt.Errorf("activation: %s is a living process's socket: %w", path, unix.EADDRINUSE)
	default:
		return fmt.Errorf("activation: %s: %w, and connect says %w", path, unix.EADDRINUSE, err)
	}
}

func describe(path string, info fs.FileInfo) string {
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		target, _ := os.Readlink(path)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("a symbolic link to %q, which is not there", target)
		}
		return fmt.Sprintf("a symbolic link to %q", target)
	case info.IsDir():
		return "a directory"
	}
	return "no socket"
}

// probe connects a datagram socket to the path. unix_find_bsd of the kernel
// (net/unix/af_unix.c) answers ECONNREFUSED if no socket has the path's inode,
// and compares types only after that (EPROTOTYPE). So unlike a connect of the
// server's own type it also sees a socket between bind and listen, and leaves
// nothing in a server's backlog.
func probe(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	return os.NewSyscallError("connect", unix.Connect(fd, &unix.SockaddrUnix{Name: path}))
}
