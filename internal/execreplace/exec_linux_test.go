package execreplace_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// playBecome becomes the program $PROGRAM as "report" with the files at the
// places $ORDER gives as indexes into files(). With $HIGH they have high
// numbers, and those which they are to get are free.
func playBecome() error {
	all, err := files()
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(all[1]), unix.F_SETFD, 0); err != nil { // what somebody left without close-on-exec
		return err
	}
	for i := range all {
		if os.Getenv("HIGH") == "" {
			break
		}
		low := all[i]
		if all[i], err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, 60); err != nil {
			return err
		}
		_ = unix.Close(low)
	}
	program, err := execreplace.Open(os.Getenv("PROGRAM"))
	if err != nil {
		return err
	}
	var order, give []int
	if err := json.Unmarshal([]byte(os.Getenv("ORDER")), &order); err != nil {
		return err
	}
	want := []string{}
	for _, i := range order {
		give = append(give, all[i])
		want = append(want, descriptors()[all[i]])
	}
	wantJSON, _ := json.Marshal(want)
	return program.Exec(append([]string{"called so"}, os.Args[1:]...), give,
		always(env("report", "WANT="+string(wantJSON), "EMPTY=", "QUOTED=a b\n\"c\"")))
}

func TestExec(t *testing.T) {
	t.Parallel()
	path := program(t)
	args := []string{"", "-x", "with space", "\xff\n", strings.Repeat("a", 100_000)}
	for i, order := range []string{
		"[]", "[2,2]", "[0,1,2,3,4]", "[0,1,2,3,4]", "[4,3,2,1,0]", "[4,3,2,1,0]", "[1]", "[1,0,1,0,1,0,1,0,1,0,1,0,1,0,1,0]",
	} {
		t.Run(order, func(t *testing.T) {
			cmd := command("become", args...)
			cmd.Env = append(cmd.Env, "PROGRAM="+path, "ORDER="+order)
			if i%2 == 1 {
				cmd.Env = append(cmd.Env, "HIGH=1")
			}
			pid, got := runReport(t, cmd)
			if got.PID != pid || got.PPID != os.Getpid() {
				t.Errorf("process %d, child of %d; was %d, child of %d", got.PID, got.PPID, pid, os.Getpid())
			}
			if got.Program != inode(t, path) || got.Comm != "daemon" {
				t.Errorf("runs %s as %q", got.Exe, got.Comm)
			}
			if want := append([]string{"called so"}, args...); fmt.Sprintf("%q", got.Args[:3]) != fmt.Sprintf("%q", want[:3]) || len(got.Args) != len(want) || got.Args[5] != want[5] {
				t.Errorf("arguments %.100q", got.Args)
			}
			var want []string
			if err := json.Unmarshal([]byte(value(got.Env, "WANT")), &want); err != nil {
				t.Fatal(err)
			}
			if value(got.Env, "QUOTED") != "a b\n\"c\"" || len(got.Env) != 5 {
				t.Errorf("environment %q", got.Env)
			}
			expectFiles(t, got, want)
			if got.Blocked != blockedAtStart || got.Ignored != ignored() {
				t.Errorf("signals blocked %x, ignored %s; were %x, %s", got.Blocked, got.Ignored, blockedAtStart, ignored())
			}
		})
	}
}

// expectFiles fails unless the report has three standard files, then those
// wanted, and nothing else.
func expectFiles(t *testing.T, got report, want []string) {
	t.Helper()
	for i, what := range want {
		if got.Open[3+i] != what || what == "" {
			t.Errorf("descriptor %d is %q, want %q", 3+i, got.Open[3+i], what)
		}
	}
	if len(got.Open) != 3+len(want) || got.Open[0] == "" || got.Open[1] == "" || got.Open[2] == "" {
		t.Errorf("descriptors %v, want 3 and %v", got.Open, want)
	}
}

// playCareless becomes a shell, with descriptors of all kinds that were left
// without close-on-exec.
func playCareless() error {
	for i := range 50 {
		if _, err := unix.Dup(i % 3); err != nil {
			return err
		}
	}
	if _, err := unix.FcntlInt(0, unix.F_DUPFD, 500); err != nil {
		return err
	}
	program, err := execreplace.Open("/bin/sh")
	if err != nil {
		return err
	}
	return program.Exec([]string{"sh", "-c", "ls /proc/$$/fd; :"}, []int{10, 500}, nil)
}

func TestNothingElse(t *testing.T) {
	cmd := command("careless")
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	if _, output := run(t, cmd); string(output) != "0\n1\n2\n3\n4\n" {
		t.Errorf("open: %q", output)
	}
}

func value(env []string, name string) string {
	for _, entry := range env {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// playChain becomes itself again and again and gives its two descriptors on,
// crosswise.
func playChain() error {
	left, _ := strconv.Atoi(os.Getenv("LEFT"))
	wantPID, wantOpen, wantBlocked := os.Getenv("PID"), os.Getenv("OPEN"), os.Getenv("BLOCKED")
	pid, mask := strconv.Itoa(os.Getpid()), fmt.Sprintf("%x", blockedAtStart)
	open := openAtStart[4] + " " + openAtStart[3]
	give := []int{4, 3}
	if wantPID == "" { // the first
		all, err := files()
		if err != nil {
			return err
		}
		give, open = all[:2], descriptors()[all[0]]+" "+descriptors()[all[1]]
	} else if pid != wantPID || openAtStart[3]+" "+openAtStart[4] != wantOpen || len(openAtStart) != 5 || mask != wantBlocked {
		return fmt.Errorf("%d left: process %s, signals blocked %s, open %v; want process %s, %s and %s",
			left, pid, mask, openAtStart, wantPID, wantBlocked, wantOpen)
	}
	if left == 0 {
		fmt.Print("done")
		return nil
	}
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	return program.Exec(os.Args, give, always(env("chain", "LEFT="+strconv.Itoa(left-1), "PID="+pid, "OPEN="+open, "BLOCKED="+mask)))
}

func TestChain(t *testing.T) {
	t.Parallel()
	cmd := command("chain")
	cmd.Env = append(cmd.Env, "LEFT="+strconv.Itoa(rounds(200)))
	if _, output := run(t, cmd); string(output) != "done" {
		t.Errorf("wrote %q", output)
	}
}

// playMainThread calls Open and Exec from the main goroutine with one
// processor, so that what they start would run on the main thread, which never
// ends: with it, the file would stay open.
func playMainThread() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	if err := program.Exec(tooLong, []int{pipe[0]}, nil); !errors.Is(err, unix.E2BIG) {
		return err
	}
	_ = unix.Close(pipe[1])
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil { // blocks while the pipe is open somewhere
		return fmt.Errorf("read: %d, %w", n, err)
	}
	return program.Exec(os.Args, []int{pipe[0]}, always(env("report")))
}

func TestMainThread(t *testing.T) {
	cmd := command("main")
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	pid, got := runReport(t, cmd)
	if got.PID != pid || len(got.Open) != 4 {
		t.Errorf("process %d, was %d; open %v", got.PID, pid, got.Open)
	}
}

// playInit is PID 1 of a container, with its own /proc.
func playInit() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("process %d", os.Getpid())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	return playBecome()
}

func TestInit(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := program(t)
	cmd := command("init")
	cmd.Env = append(cmd.Env, "PROGRAM="+path, "ORDER=[0,4]")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	_, got := runReport(t, cmd)
	if got.PID != 1 || got.PPID != 0 || got.Program != inode(t, path) {
		t.Errorf("%+v", got)
	}
}

// playIgnoring ignores SIGHUP across the change, and handles SIGUSR1.
func playIgnoring() error {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	signal.Ignore(syscall.SIGHUP)
	program, err := execreplace.Open(self())
	if err != nil {
		return err
	}
	return program.Exec(os.Args, nil, always(env("report")))
}

func TestSignals(t *testing.T) {
	_, got := runReport(t, command("ignoring"))
	ignored, err := strconv.ParseUint(got.Ignored, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	if ignored&(1<<(syscall.SIGHUP-1)) == 0 || ignored&(1<<(syscall.SIGUSR1-1)) != 0 {
		t.Errorf("ignored: %x", ignored)
	}
	if got.Blocked != blockedAtStart {
		t.Errorf("blocked: %x", got.Blocked)
	}
}

// playLocks holds one lock of each kind on $LOCKED.
func playLocks() error {
	path := os.Getenv("LOCKED")
	give := []int{}
	for i, kind := range []int{unix.F_SETLK, unix.F_OFD_SETLK, -1} {
		fd, err := unix.Open(path+strconv.Itoa(i), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		if kind < 0 {
			err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		} else {
			err = unix.FcntlFlock(uintptr(fd), kind, &unix.Flock_t{Type: unix.F_WRLCK})
		}
		if err != nil {
			return err
		}
		give = append(give, fd)
	}
	program, err := execreplace.Open("/bin/sh")
	if err != nil {
		return err
	}
	return program.Exec([]string{"sh", "-c", "echo ready; read line"}, give, nil)
}

// TestLocks holds the package comment to what it says of locks.
func TestLocks(t *testing.T) {
	path := t.TempDir() + "/lock"
	cmd := command("locks")
	cmd.Env = append(cmd.Env, "LOCKED="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line := make([]byte, 6); true {
		if _, err := out.Read(line); err != nil {
			t.Errorf("no shell: %v", err)
		}
	}
	for i, want := range []bool{false, true, true} {
		file, err := os.OpenFile(path+strconv.Itoa(i), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		held := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock) != nil
		if i == 2 {
			held = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
		}
		if held != want {
			t.Errorf("lock %d is held: %v, want %v", i, held, want)
		}
		_ = file.Close()
	}
	_ = in.Close()
	_ = cmd.Wait()
}

func TestClosed(t *testing.T) {
	before := descriptors()
	p, err := execreplace.Open(self())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if leaked := since(before); len(leaked) > 0 {
		t.Error("left open:", leaked)
	}
	if err := p.Exec([]string{"x"}, nil, nil); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	before := descriptors()
	p, err := execreplace.Open(self())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, test := range []struct {
		name  string
		args  []string
		files []int
		env   []string
		want  error
		text  string
	}{
		{"no arguments", nil, nil, nil, unix.EINVAL, "no arguments"},
		{"NUL in an argument", []string{"a\x00b"}, nil, nil, unix.EINVAL, `a\x00b`},
		{"NUL in the environment", []string{"a"}, nil, []string{"A=\x00"}, unix.EINVAL, `A=\x00`},
		{"closed file", []string{"a"}, []int{0, 9999}, nil, unix.EBADF, "file 2 of 2, descriptor 9999"},
		{"negative file", []string{"a"}, []int{-1}, nil, unix.EBADF, "descriptor -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := p.Exec(test.args, test.files, always(test.env))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Error(err)
			}
		})
	}
	_ = p.Close()
	if leaked := since(before); len(leaked) > 0 {
		t.Error("left open:", leaked)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces, mounts and other users need root")
	}
}
