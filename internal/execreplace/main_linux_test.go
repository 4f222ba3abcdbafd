package execreplace_test

import (
	"encoding/json"
	"fmt"
	"net"
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

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

// roleVariable makes the test binary play a part instead of testing.
const roleVariable = "INPLACE_TEST_ROLE"

// openAtStart is what a role was started with, before anything of Go has opened
// a file.
var openAtStart map[int]string

// blockedAtStart is the signal mask this program was started with, as a bit
// set.
var blockedAtStart uint64

var roles map[string]func() error

func TestMain(m *testing.M) {
	openAtStart = descriptors()
	blockedAtStart = blocked()
	for fd, what := range openAtStart {
		if strings.HasPrefix(what, "/sys/fs/cgroup/") { // of Go's runtime, since 1.25
			delete(openAtStart, fd)
		}
	}
	roles = map[string]func() error{
		"report": playReport, "become": playBecome, "chain": playChain, "failing": playFailing, "main": playMainThread,
		"hammer": playHammer, "init": playInit, "limited": playLimited, "filtered": playFiltered, "fallback": playFallback,
		"landlock": playLandlock, "landlocked": playLandlocked, "noexec": playNoexec, "unprivileged": playUnprivileged,
		"ignoring": playIgnoring, "locks": playLocks, "careless": playCareless,
	}
	if role, found := os.LookupEnv(roleVariable); found {
		play(role)
	}
	leakcheck.Main(m)
}

func play(name string) {
	role, found := roles[name]
	if !found {
		fmt.Fprintln(os.Stderr, "no such role:", name)
		os.Exit(2)
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A report is what the last program of a test found when it was started.
type report struct {
	PID, PPID int
	Args      []string
	Env       []string
	Open      map[int]string
	Exe       string
	Program   uint64 // inode
	Comm      string
	Blocked   uint64
	Ignored   string // from /proc/self/status
}

func playReport() error {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &stat); err != nil {
		return err
	}
	exe, _ := os.Readlink("/proc/self/exe")
	comm, _ := os.ReadFile("/proc/self/comm")
	return json.NewEncoder(os.Stdout).Encode(report{
		PID: os.Getpid(), PPID: os.Getppid(), Args: os.Args, Env: os.Environ(), Open: openAtStart,
		Exe: exe, Program: stat.Ino, Comm: strings.TrimSpace(string(comm)), Blocked: blockedAtStart, Ignored: ignored(),
	})
}

// blocked returns the signal mask of this thread. That of the main thread in
// /proc would now and then be one with which the runtime starts a thread.
func blocked() uint64 {
	var set unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &set); err != nil {
		panic(err)
	}
	return *(*uint64)(unsafe.Pointer(&set))
}

func ignored() string {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "\nSigIgn:\t")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// env is an environment for the next program: a role and what it needs to know.
func env(role string, more ...string) []string {
	return append([]string{roleVariable + "=" + role, "GORACE=atexit_sleep_ms=0"}, more...)
}

// always is the environment whatever the reason.
func always(env []string) func(error) []string {
	return func(error) []string { return env }
}

// run starts the test binary in a role and returns the process id it had and
// what it, or what it became, wrote.
func run(t *testing.T, cmd *exec.Cmd) (pid int, output []byte) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, output, stderr.String())
	}
	return cmd.Process.Pid, output
}

func command(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(self(), args...)
	cmd.Env = env(role)
	return cmd
}

func runReport(t *testing.T, cmd *exec.Cmd) (pid int, got report) {
	t.Helper()
	pid, output := run(t, cmd)
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatalf("%v in %q", err, output)
	}
	return pid, got
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// descriptors says what each open descriptor is, opening none.
func descriptors() map[int]string {
	open := map[int]string{}
	buffer := make([]byte, 4096)
	for fd := range 128 {
		if n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buffer); err == nil {
			open[fd] = string(buffer[:n])
		}
	}
	return open
}

func since(before map[int]string) []string {
	var leaked []string
	for fd, what := range descriptors() {
		if before[fd] != what {
			leaked = append(leaked, fmt.Sprint(fd, " ", what))
		}
	}
	return leaked
}

// rounds is n, or fewer under the race detector, where starting a program costs
// ten times as much.
func rounds(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

func threads() int {
	tasks, _ := os.ReadDir("/proc/self/task")
	return len(tasks)
}

// files opens a pipe, a socket pair and a listener, in that order: five raw
// descriptors, close-on-exec.
func files() ([]int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(listener.(*net.TCPListener), nil)
	raw, err := listener.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var dup int
	err = raw.Control(func(fd uintptr) { dup, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return []int{pipe[0], pipe[1], pair[0], pair[1], dup}, err
}

// program copies the test binary to where it may be replaced.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "daemon")
	copyFile(t, self(), path)
	return path
}

// copyFile does not let a process that is being started inherit the file open
// for writing: see golang/go#22315.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, content, 0o755)
}

func writeFile(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}
