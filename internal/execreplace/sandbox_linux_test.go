package execreplace_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// refuse makes all threads of this process get the errno for the system calls,
// as a sandbox does.
func refuse(errno unix.Errno, calls ...uint32) error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for _, call := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	runtime.LockOSThread() // no_new_privs goes with the thread; the filter then takes it to the others
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if failed != 0 {
		return os.NewSyscallError("seccomp", failed)
	}
	return nil
}

// playFiltered becomes itself, or says why Open will not have it, where the
// system calls in its arguments get $ERRNO.
func playFiltered() error {
	var calls []uint32
	for _, arg := range os.Args[1:] {
		call, err := strconv.ParseUint(arg, 10, 32)
		if err != nil {
			return err
		}
		calls = append(calls, uint32(call))
	}
	errno, err := strconv.Atoi(os.Getenv("ERRNO"))
	if err != nil {
		return err
	}
	if err := refuse(unix.Errno(errno), calls...); err != nil {
		return err
	}
	give, err := files()
	if err != nil {
		return err
	}
	if _, err := execreplace.Open("/etc/passwd"); !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("not a program: %w", err)
	}
	program, err := execreplace.Open(self())
	if err != nil {
		fmt.Printf("unsupported=%v errno=%v %v", errors.Is(err, errors.ErrUnsupported), errors.Is(err, unix.Errno(errno)), err)
		return nil
	}
	return program.Exec(os.Args, give, always(env("report")))
}

// TestFiltered covers old kernels (ENOSYS) and sandboxes (EPERM).
func TestFiltered(t *testing.T) {
	t.Parallel()
	const works = `{"PID":`
	for _, test := range []struct {
		name  string
		errno unix.Errno
		calls []int
		want  string
	}{
		{"old close_range", unix.ENOSYS, []int{unix.SYS_CLOSE_RANGE}, works},
		{"close_range", unix.EPERM, []int{unix.SYS_CLOSE_RANGE}, works},
		{"unshare", unix.EPERM, []int{unix.SYS_UNSHARE}, works},
		{"execveat", unix.EPERM, []int{unix.SYS_EXECVEAT}, works},
		{"old faccessat2", unix.ENOSYS, []int{unix.SYS_FACCESSAT2}, works},
		{"close_range and unshare", unix.EPERM, []int{unix.SYS_CLOSE_RANGE, unix.SYS_UNSHARE}, "unsupported=true errno=true replace the program by "},
		{"execve", unix.EPERM, []int{unix.SYS_EXECVE}, "unsupported=true errno=true replace the program by "},
	} {
		t.Run(test.name, func(t *testing.T) {
			var args []string
			for _, call := range test.calls {
				args = append(args, strconv.Itoa(call))
			}
			cmd := command("filtered", args...)
			cmd.Env = append(cmd.Env, "ERRNO="+strconv.Itoa(int(test.errno)))
			if _, output := run(t, cmd); !strings.HasPrefix(string(output), test.want) {
				t.Errorf("wrote %s", output)
			}
		})
	}
}

// playLandlock forbids this process to execute anything but the test binary and
// the libraries. That holds for one thread, hence for all of a program which
// that thread starts.
func playLandlock() error {
	runtime.LockOSThread()
	rights := uint64(unix.LANDLOCK_ACCESS_FS_EXECUTE)
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rights)), 8, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	for _, path := range []string{self(), "/lib", "/lib64", "/usr/lib"} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // not every system has each
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
		_, _, errno = unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
		if errno != 0 {
			return os.NewSyscallError("landlock_add_rule", errno)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return syscall.Exec(self(), os.Args, env("landlocked"))
}

func playLandlocked() error {
	if _, err := execreplace.Open("/bin/sh"); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("forbidden program: %w", err)
	}
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	return program.Exec(os.Args, nil, always(env("report")))
}

func TestSecurityModule(t *testing.T) {
	t.Parallel()
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 {
		t.Skip("no landlock:", errno)
	}
	empty := new(byte)
	if _, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, 0, uintptr(unsafe.Pointer(empty)), 0, 0, unix.AT_EMPTY_PATH|0x10000, 0); errno == unix.EINVAL {
		t.Skip("no AT_EXECVE_CHECK, which is Linux 6.14")
	}
	if _, got := runReport(t, command("landlock")); len(got.Open) != 3 {
		t.Errorf("%+v", got)
	}
}

// playNoexec mounts a file system from which nothing may be executed, root or
// not.
func playNoexec() error {
	dir := os.Args[1]
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		return err
	}
	if _, err := execreplace.Open(path); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("on a noexec mount: %w", err)
	}
	return nil
}

func TestNoexec(t *testing.T) {
	needRoot(t)
	cmd := command("noexec", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	run(t, cmd)
}

// playUnprivileged is told a folder with one program only root may execute, and
// one that may be executed but not read.
func playUnprivileged() error {
	if _, err := execreplace.Open(filepath.Join(os.Args[1], "root")); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("root's program: %w", err)
	}
	program, err := execreplace.Open(filepath.Join(os.Args[1], "opaque"))
	if err != nil {
		return err
	}
	return program.Exec([]string{"echo", "done"}, nil, nil)
}

func TestUnprivileged(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := program(t)
	dir := filepath.Dir(path)
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"root": 0o700, "opaque": 0o711} {
		copyFile(t, echo, filepath.Join(dir, name))
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, dir)
	cmd.Env = env("unprivileged")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if _, output := run(t, cmd); string(output) != "done\n" {
		t.Errorf("wrote %q", output)
	}
}
