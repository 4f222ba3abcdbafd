package execreplace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// All descriptors are O_PATH: that needs no permission to read, keeps nobody
// from writing, and execveat(2) takes it.
type held struct {
	checked int          // what path named when it was opened
	running int          // the program of this process
	limit   *unix.Rlimit // of open files, as this process was given it; nil until Exec has asked
}

// A choice is one program that Exec may try, by path if fd is -1.
type choice struct {
	name string
	path string
	fd   int
}

func open(path string) (*Program, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", path, err)
	}
	p := &Program{path: path, held: held{checked: -1, running: -1}}
	if err := p.open(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *Program) open() (err error) {
	if err := mayReplace(); err != nil {
		return fmt.Errorf("replace the program by %s: %w", p.path, err)
	}
	if p.running, err = openPath("/proc/self/exe"); err != nil {
		return fmt.Errorf("the program that runs now: %w", err)
	}
	if p.checked, err = openPath(p.path); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	if err := check(p.checked, 0); err != nil {
		return fmt.Errorf("program %s: %w", p.path, err)
	}
	return nil
}

func (h *held) release() {
	for _, fd := range []*int{&h.checked, &h.running} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
		}
		*fd = -1
	}
}

func (p *Program) exec(args []string, files []int, env func(error) []string) error {
	if p.checked < 0 {
		return fmt.Errorf("program %s: %w", p.path, os.ErrClosed)
	}
	if len(args) == 0 {
		return fmt.Errorf("program %s: no arguments, not even its name: %w", p.path, unix.EINVAL)
	}
	if env == nil {
		env = func(error) []string { return os.Environ() }
	}
	limits, err := p.limits()
	if err != nil {
		return err
	}
	var reason error
	for _, c := range []choice{
		{"program " + p.path, p.path, -1},
		{"program " + p.path + " as it was checked before", "", p.checked},
		{"the program that runs now", "", p.running},
	} {
		err := c.check()
		if err == nil {
			err = c.try(args, env(reason), files, limits)
		}
		reason = join(reason, fmt.Errorf("%s: %w", c.name, err))
	}
	return reason
}

// check looks at the program again: it may have been replaced, truncated or
// forbidden since Open.
func (c choice) check() error {
	if c.fd >= 0 {
		return check(c.fd, 0)
	}
	return checkPath(c.path, 0)
}

// try returns only if the program could not be started.
func (c choice) try(args, env []string, files []int, limits limits) error {
	name, err := unix.BytePtrFromString(c.path)
	if err != nil {
		return fmt.Errorf("path %q: %w", c.path, err)
	}
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return fmt.Errorf("arguments %q: %w", args, err)
	}
	envv, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return fmt.Errorf("environment %q: %w", env, err)
	}
	return onThread(func() error {
		s := &stage{name: name, fd: c.fd, argv: &argv[0], envv: &envv[0], limits: limits}
		if err := s.prepare(files); err != nil {
			return err
		}
		return s.perform()
	})
}

// join is errors.Join in one line, for logs.
func join(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

// mayReplace finds out whether a sandbox forbids this process what Exec does.
func mayReplace() error {
	if err := onThread(ownTable); err != nil {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return mayExec()
}
