// Package control is both ends of the control socket, over which a command asks
// a running service for a reload, or where it stands.
//
//   - [NewServer] makes the server, which answers root and its own user only.
//   - A [Client] asks, and gives up a service that hangs.
//   - [Default], [Paths] and [Running] know where the socket is: the places in
//     which one is made, those where a client looks for it, and which of them
//     are safe from other users.
//
// What is said over it may grow but not change: programs of one version of this
// library ask services of another.
package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dialRetry is how often to knock again where too many wait at the door.
const dialRetry = 20 * time.Millisecond

// Default returns the path where a service of that name listens,
// having made its directory if it is not systemd's to make. The error says what
// is wrong with each place, such as another user who was there first.
func Default(name string) (string, error) {
	if dir := RuntimeDirectory(); dir != "" {
		return filepath.Join(dir, "control"), nil
	}
	var failed error
	for _, path := range fallbacks(name) {
		dir := filepath.Dir(path)
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = WhyNotPrivate(dir)
		}
		if err == nil {
			return path, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", fmt.Errorf("no directory for it that is safe from other users; Options.ControlSocket or RUNTIME_DIRECTORY says another: %w", failed)
}

// RuntimeDirectory returns the first of the directories that systemd's
// RuntimeDirectory= made for this unit.
func RuntimeDirectory() string {
	dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return dir
}

func fallbacks(name string) []string {
	var paths []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, name, "control"))
	}
	if os.Geteuid() == 0 {
		paths = append(paths, filepath.Join("/run", name, "control"))
	}
	return append(paths, filepath.Join(os.TempDir(), name+"-"+strconv.Itoa(os.Geteuid()), "control"))
}

// Paths are the places that can be told without looking: given alone, if it is
// not "".
func Paths(name, given string) []string {
	if given != "" {
		return []string{given}
	}
	if dir := RuntimeDirectory(); dir != "" {
		return []string{filepath.Join(dir, "control")}
	}
	paths := append(fallbacks(name), filepath.Join("/run", name, "control"))
	return slices.Compact(slices.Sorted(slices.Values(paths)))
}

// Dial connects to a control socket, and waits where the queue of the socket is
// full: whoever has it may only be slow, or stopped, which is another thing
// than not there.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	var dialer net.Dialer
	for {
		nc, err := dialer.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(dialRetry):
		}
	}
}

// Running are those of processes that run this program, or one of
// the service's name, as far as this user may see where they have it: root's
// see all, and others only their own.
//
// Anybody may run a process of any name with any RUNTIME_DIRECTORY, but only
// root and this user can make a directory that is taken seriously.
func Running(name string) []string {
	own, _ := os.Executable()
	names := []string{name, filepath.Base(own), filepath.Base(os.Args[0])}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	var paths []string
	for _, process := range processes {
		if pid, _ := strconv.Atoi(filepath.Base(process)); pid == os.Getpid() || !runsOneOf(process, names) {
			continue
		}
		dir := variableOf(process, "RUNTIME_DIRECTORY")
		dir, _, _ = strings.Cut(dir, ":")
		if dir != "" && filepath.IsAbs(dir) && IsProtected(filepath.Dir(filepath.Clean(dir))) {
			paths = append(paths, filepath.Join(dir, "control"))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// runsOneOf reports whether a process runs a program of one of these names, by
// the file or by what it was called. A file that was replaced since is said to
// be deleted.
func runsOneOf(process string, names []string) bool {
	file, err := os.Readlink(filepath.Join(process, "exe"))
	if err != nil {
		return false
	}
	line, _ := os.ReadFile(filepath.Join(process, "cmdline"))
	called, _, _ := strings.Cut(string(line), "\x00")
	return slices.Contains(names, filepath.Base(strings.TrimSuffix(file, " (deleted)"))) ||
		slices.Contains(names, filepath.Base(called))
}

// variableOf returns a variable that a process was started with, "" if it has
// none or is not this user's to look at.
func variableOf(process, name string) string {
	environ, _ := os.ReadFile(filepath.Join(process, "environ"))
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}
