// Package execreplace replaces the program of this very process: another
// program, the same process id, the descriptors that are handed to it. It is
// for a process that nobody may replace by another one, such as PID 1 of a
// container, a foreground job, or the child of a supervisor that follows one
// process id.
//
// There is no way back once the new program runs, and a daemon has given up its
// work before it gets there. So what can fail is found out first, by Open, and
// what fails nevertheless leads to another choice rather than to the end of the
// process:
//
//  1. the program that the path names now, which need not be the one that Open
//     saw: packages replace files by renaming
//  2. the file that Open has checked, even if its path is gone
//  3. the program that runs now
//
// Each of them is checked (again) before it is tried. The new program is told
// why by its environment:
//
//	program, err := execreplace.Open("/usr/bin/hello")
//	if err != nil {
//		return err // and nothing was given up
//	}
//	defer program.Close()
//
//	drain()
//	ignore(syscall.SIGHUP) // rt_sigaction(2): it would kill the new program before that can catch it
//	err = program.Exec(os.Args, []int{listener, handover}, func(reason error) []string {
//		env := append(os.Environ(), "LISTEN_FDS=2", "LISTEN_PID="+strconv.Itoa(os.Getpid()))
//		if reason != nil {
//			env = append(env, "RELOAD_FAILED="+reason.Error())
//		}
//		return env
//	})
//	signal.Notify(hangups, syscall.SIGHUP) // still the same program: serve again, or end
//
// # What the new program inherits
//
// Standard input, output and error as they are; the files given to Exec as
// descriptors 3, 4 and so on; and no other descriptor, not even those that
// another package left without close-on-exec (these do stay open on Linux
// before 5.11). The soft limit of open files is what this process was started
// with: Go raises it for itself, and syscall.Exec gives it back as well.
//
// Of signals it inherits what execve(2) says: those that are ignored stay
// ignored, those that are handled get their default back, which for SIGHUP is
// death. A program that expects a signal before the new one calls signal.Notify
// ignores it before Exec, as in the example; Go's runtime leaves an ignored
// SIGHUP or SIGINT alone until then. Signals should not be blocked instead: a
// Go program never unblocks what it found blocked, nor do its children.
//
// POSIX record locks (fcntl F_SETLK) on the files do not survive, since they
// belong to the descriptor table and the new program gets another one. Locks of
// flock(2) and open file description locks do.
//
// # How it is done
//
// Descriptors 3, 4 and so on are in use by Go's runtime: its epoll instance is
// usually among them, and a process whose epoll descriptor is overwritten ends
// with "netpoll failed". So one thread gets a descriptor table of its own
// (close_range(2) with CLOSE_RANGE_UNSHARE, or unshare(2)), puts the files in
// place there, and calls execve, which any thread may: the kernel ends the
// others and gives it the process id (de_thread in fs/exec.c). When execve
// fails, the thread ends and its table with it, and the rest of the process has
// noticed nothing.
//
// It needs Linux 5.9, or a sandbox that permits unshare(CLONE_FILES), and
// /proc. On other systems Open returns an error that matches
// errors.ErrUnsupported.
package execreplace
