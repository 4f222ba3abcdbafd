package pod

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// User is who the program is, and its group.
const User = "65532"

// A Spec says what to run.
type Spec struct {
	Program string            // of the host
	Path    string            // of the program inside
	Args    []string          // for it
	Env     []string          // as NAME=value, and nothing else
	Mounts  map[string]string // from folder inside to folder of the host, read-only
	Scratch []string          // folders in memory, for everybody to write
}

// A Pod is one that runs. Only the goroutine of the test may use it.
type Pod struct {
	t     testing.TB
	spec  Spec
	outer *os.Process // the outer process namespace's first one
	inner int         // PID of the program
	doors []*os.File  // to what is the program's own: see open
	log   string
	ended chan error
}

// enter makes the file system and becomes the program. Its arguments are the
// root, the folders in memory and a dash, pairs of folders and a dash, the
// user, and the program with its arguments.
const enter = `set -e
mount --make-rprivate /
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
while [ "$1" != - ]; do mount -t tmpfs -o mode=1777 tmpfs "$root$1"; shift; done; shift
while [ "$1" != - ]; do mount --bind "$2" "$root$1"; mount -o remount,bind,ro "$root$1"; shift 2; done; shift
mount -o remount,bind,ro "$root"
user=$1; shift
exec env -i $ENVIRON "$(command -v chroot)" --userspec="$user:$user" --groups= "$root" "$@"`

// Start starts the program. When the test ends it is killed, if it still runs,
// and its log is shown if the test failed. Whatever it has logged must be JSON.
// Without root the test is skipped.
func Start(t testing.TB, spec Spec) *Pod {
	t.Helper()
	require(t)
	p := &Pod{t: t, spec: spec, log: filepath.Join(t.TempDir(), "log"), ended: make(chan error, 1)}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// The program's process namespace is inside of one that dies with this
	// process, come what may: who changes its user, as the program does on its
	// way, is not killed with its parent any more (PR_SET_PDEATHSIG(2const)).
	cmd := exec.Command("unshare", slices.Concat([]string{"--pid", "--fork", "sh", "-c", enter, "sh"}, p.arguments())...)
	cmd.Env = append(os.Environ(), "ENVIRON="+strings.Join(spec.Env, " "))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
	}
	t.Cleanup(p.end)
	if err := p.launch(cmd); err != nil {
		t.Fatal(err)
	}
	if err := p.loopback(); err != nil {
		t.Fatal(err)
	}
	Wait(t, "the program to be executed", p.find)
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Build builds the program in the working folder, as exampletest.Build does, so
// that it needs no file beside it.
func Build(t testing.TB) string {
	t.Helper()
	require(t)
	race := exampletest.Race()
	if len(race) > 0 { // the race detector needs libc
		race = append(race, "-ldflags", "-linkmode external -extldflags -static")
	}
	return exampletest.Build(t, race...)
}

func require(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, errors.New("only root can make a container"))
	}
	for _, program := range []string{"unshare", "nsenter", "chroot", "mount"} {
		requireProgram(t, program)
	}
}

func requireProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, err)
	}
}

// missing skips the test, or fails it where nothing may be missing: see
// sdtest.Require.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// arguments makes the folders of the root file system and returns what the
// script wants to know.
func (p *Pod) arguments() []string {
	root := filepath.Join(p.t.TempDir(), "root")
	args := slices.Concat([]string{root}, p.spec.Scratch, []string{"-"})
	folders := append([]string{"/proc", filepath.Dir(p.spec.Path)}, p.spec.Scratch...)
	for inside, outside := range p.spec.Mounts {
		folders = append(folders, inside)
		args = append(args, inside, outside)
	}
	for _, folder := range folders {
		if err := os.MkdirAll(root+folder, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	p.allow(root)
	if err := copyProgram(p.spec.Program, root+p.spec.Path); err != nil {
		p.t.Fatal(err)
	}
	return slices.Concat(args, []string{"-", User, p.spec.Path}, p.spec.Args)
}

// allow lets others than root into the folders of tests above a path.
func (p *Pod) allow(path string) {
	for dir := filepath.Dir(path); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
}

// copyProgram lets no process be started meanwhile, which would hold the file
// open for writing until its execve, so that it would be "text file busy"
// (golang/go issue 22315).
func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, data, 0o755)
}

// launch starts cmd from a thread that stays until it ends: Pdeathsig comes
// when the thread goes.
func (p *Pod) launch(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.outer = cmd.Process
		}
		started <- err
		if err == nil {
			p.ended <- cmd.Wait()
			close(p.ended)
		}
	}()
	return <-started
}

// loopback switches on the one network interface that a new network has.
func (p *Pod) loopback() error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and no other goroutine gets the network
		result <- errors.Join(joinNetwork(p.outer.Pid), switchOn("lo"))
	}()
	return <-result
}

func joinNetwork(pid int) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return os.NewSyscallError("setns", unix.Setns(fd, unix.CLONE_NEWNET))
}

func switchOn(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("SIOCSIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}

// find looks for the program, which is the one child of unshare.
func (p *Pod) find() bool {
	select {
	case err := <-p.ended:
		p.t.Fatalf("the program has ended: %v", err)
	default:
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.outer.Pid, p.outer.Pid))
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		return false
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	p.inner = pid
	return strings.TrimSpace(string(name)) == filepath.Base(p.spec.Path)
}

// open opens the doors by which Exec goes in. Later they might be shut for a
// moment: while a process of several threads replaces its program, /proc tells
// of its first thread, which is dead already.
func (p *Pod) open() error {
	for _, name := range []string{"ns/mnt", "ns/pid", "ns/net", "root"} {
		door, err := os.Open(fmt.Sprintf("/proc/%d/%s", p.inner, name))
		if err != nil {
			return err
		}
		p.doors = append(p.doors, door)
	}
	return nil
}

// Exec runs the program inside with these arguments and returns what it wrote,
// as `kubectl exec` and `podman exec` do.
func (p *Pod) Exec(args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), "nsenter", slices.Concat([]string{
		"--mount=/proc/self/fd/3", "--pid=/proc/self/fd/4", "--net=/proc/self/fd/5", "--root=/proc/self/fd/6",
		"--setuid=" + User, "--setgid=" + User, "--", p.spec.Path,
	}, args)...)
	cmd.ExtraFiles = p.doors
	cmd.Env = p.spec.Env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Command is a program of the host that has the pod's network, and nothing else
// of it. Without that program the test is skipped. It is killed when the test
// ends.
func (p *Pod) Command(name string, args ...string) *exec.Cmd {
	p.t.Helper()
	requireProgram(p.t, name)
	network := fmt.Sprintf("--net=/proc/%d/ns/net", p.outer.Pid)
	return exec.CommandContext(p.t.Context(), "nsenter", append([]string{network, "--", name}, args...)...)
}

// Processes returns the ids of all processes inside.
func (p *Pod) Processes() []string {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/proc", p.inner))
	if err != nil {
		p.t.Fatal(err)
	}
	var ids []string
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err == nil {
			ids = append(ids, entry.Name())
		}
	}
	return ids
}

// Signal sends the program a signal, as engines do.
func (p *Pod) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.inner, sig); err != nil {
		p.t.Fatal(err)
	}
}

// Ended receives how the program has ended, once: nil if with 0.
func (p *Pod) Ended() <-chan error { return p.ended }

// Log returns what the program has logged.
func (p *Pod) Log() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(log)
}

func (p *Pod) end() {
	if p.outer != nil {
		_ = p.outer.Kill() // and with it all that is inside
		for range p.ended {
		}
	}
	for _, door := range p.doors {
		_ = door.Close()
	}
	for line := range bytes.Lines([]byte(p.Log())) {
		if !json.Valid(line) {
			p.t.Errorf("logged, and no JSON: %s", line)
		}
	}
	if p.t.Failed() {
		p.t.Logf("log:\n%s", p.Log())
	}
}

// Wait waits for something to be true of another process.
func Wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !patience.Until(30*time.Second, is) {
		t.Fatalf("waited in vain for %s", what)
	}
}
