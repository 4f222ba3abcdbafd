package execreplace

// A Program is what this process is to become. It holds descriptors
// (close-on-exec) of the file that Open has checked and of the program that
// runs now. Its methods must not be called at the same time.
type Program struct {
	path string // absolute
	held        // the descriptors
}

// Open makes sure, as far as can be known beforehand, that Exec will work.
//
// The path is taken as execve takes it: symlinks are followed, $PATH is not
// searched. A relative path is made absolute now. The file must be a regular
// file this process may execute (effective user, noexec mounts and, since Linux
// 6.14, security modules considered), and either an ELF program for
// runtime.GOARCH of which nothing is cut off, whose ELF interpreter exists and
// may be executed; or a script whose "#!" interpreter passes the same check.
// Shared libraries are not looked for, and a file that may be executed but not
// read is taken to be a program. This process is checked as well: it must be
// permitted to give a thread a descriptor table of its own, and to call execve.
//
// Errors name the path and match fs.ErrNotExist, fs.ErrPermission (also for a
// directory or FIFO, as with execve), syscall.ENOEXEC for any other content,
// syscall.ELOOP for scripts that nest too deep, or errors.ErrUnsupported if it
// is this process or system that cannot do it.
func Open(path string) (*Program, error) {
	return open(path)
}

// Exec replaces the program of this process and returns only if it could not.
//
// args are the arguments, args[0] included. files become descriptors 3, 4 and
// so on of the new program, in this order; the same number may occur more than
// once. They stay the caller's: on failure each is open still and none has
// changed.
//
// env is called on this goroutine before each choice that is tried, which is
// one that passes its check (see the package comment), and returns the
// environment, in which no name should occur twice. reason is nil for the first
// choice and says for the others why those before did not do. A nil env stands
// for os.Environ.
//
// The error holds what was wrong with each choice, and errors.Is finds all of
// it; it is os.ErrClosed after Close. The process is as it was, except for one
// thing: if Go had raised the soft limit of open files, children started from
// now on by package os inherit the raised limit. Exec may be called again; only
// on the same Program does it still know the original limit.
//
// A script can be started by its path only, so the second choice fails for it
// with syscall.ENOENT. Before Linux 6.14 a program started by the second or
// third choice has a number for its short name (comm in proc(5)); its arguments
// are right.
func (p *Program) Exec(args []string, files []int, env func(reason error) []string) error {
	return p.exec(args, files, env)
}

// Close closes the descriptors that p holds, and returns nil. A second call
// does nothing.
func (p *Program) Close() error {
	p.release()
	return nil
}
