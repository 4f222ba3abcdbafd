package sdtest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

//go:embed boot.sh
var bootScript string

// namespaces are all that a machine has of its own. Its control group namespace
// is not among those that clone makes: the kernel roots it at the caller's
// group, so the child has to do that itself once it is in the machine's group.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// checkHost answers why no machine can be booted here.
func checkHost() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("needs root, runs as user %d", uid)
	}
	for _, tool := range []string{"sh", "env", "mount", "umount", "pivot_root", "unshare", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	_, err := cgroupMount()
	return err
}

// boot starts a machine over the root folder lower and waits until it is up.
func boot(lower string) (*core, error) {
	group, err := newCgroup()
	if err != nil {
		return nil, err
	}
	init, err := startInit(lower, group)
	if err != nil {
		return nil, errors.Join(err, group.remove())
	}
	if err := init.waitBooted(); err != nil {
		return nil, errors.Join(err, init.off(), unix.Close(init.pidfd), group.remove())
	}
	return &core{
		pid:     init.cmd.Process.Pid,
		cgroup:  group.path,
		threads: newThreads(init.pidfd),
		off:     init.off,
		release: group.remove,
	}, nil
}

// newThreads takes ownership of pidfd.
func newThreads(pidfd int) *threads {
	return &threads{pidfd: pidfd, jobs: make(chan job), quit: make(chan struct{})}
}

// pid1 is the first process of a machine: for a moment the shell that runs
// boot.sh, then systemd.
type pid1 struct {
	cmd    *exec.Cmd
	pidfd  int // owned by whoever started it
	stdin  *os.File
	stdout *os.File
	stderr bytes.Buffer // to be read when exited is done

	exited context.Context // done when the process has been waited for
}

// startInit starts PID 1 in the control group.
func startInit(lower string, group *cgroup) (*pid1, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	p := &pid1{stdin: inW, stdout: outR}
	p.cmd = exec.Command("unshare", "--cgroup", "--", "sh", "-euc", bootScript, "sdtest", lower, filepath.Base(group.path))
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inR, outW, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  namespaces,
		Setsid:      true, // an interrupt typed at the terminal is for the test
		Pdeathsig:   syscall.SIGKILL,
		UseCgroupFD: true,
		CgroupFD:    int(group.dir.Fd()),
		PidFD:       &p.pidfd,
	}
	err = p.start()
	_, _ = inR.Close(), outW.Close()
	if err != nil {
		return nil, errors.Join(err, inW.Close(), outR.Close())
	}
	return p, nil
}

// start starts the process from a thread that stays until the process has
// ended: Pdeathsig is sent when the thread that made the process goes, and
// threads of the Go runtime do go, such as those of Inside
// (PR_SET_PDEATHSIG(2const)).
func (p *pid1) start() error {
	started := make(chan error)
	exited, exit := context.WithCancelCause(context.Background())
	p.exited = exited
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			err = p.cmd.Wait()
			exit(fmt.Errorf("PID 1 has ended (%v)", err))
		}
	}()
	return <-started
}

// waitBooted waits until systemd says that it is ready. It closes the pipes to
// the script.
func (p *pid1) waitBooted() error {
	defer func() { _, _ = p.stdin.Close(), p.stdout.Close() }()
	ctx, cancel := context.WithCancelCause(p.exited)
	defer cancel(nil)
	go func() {
		// Until goes by how slow the machine is when the limit is over. It may
		// have been quick when the boot began.
		began := time.Now()
		if !patience.Until(bootTimeout, func() bool { return ctx.Err() != nil }) {
			cancel(fmt.Errorf("not up after %v", time.Since(began).Round(time.Second)))
		}
	}()
	err := p.waitMounted(ctx)
	if err == nil {
		err = p.waitReady(ctx)
	}
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	_ = p.off()
	return fmt.Errorf("%w\n%s", err, strings.TrimSpace(p.stderr.String()))
}

// waitMounted waits for the script to have made the machine's root the
// process's own.
func (p *pid1) waitMounted(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = p.stdout.SetReadDeadline(time.Unix(1, 0)) })()
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	if err != nil {
		<-ctx.Done() // its cause says more
		return fmt.Errorf("mount its root: %w", err)
	}
	if line != "mounted\n" {
		return fmt.Errorf("mount its root: unexpected output %q", line)
	}
	return nil
}

// waitReady lets the script go on and waits for READY=1, which systemd sends
// when it has no job left, as PID 1 of a container does (sd_notify(3),
// systemd(1) on $NOTIFY_SOCKET). The socket is made in the machine's own /run:
// a Unix socket that has a path is reached from every network.
func (p *pid1) waitReady(ctx context.Context) error {
	path := fmt.Sprintf("/proc/%d/root/run/host/notify", p.cmd.Process.Pid)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := p.stdin.Close(); err != nil {
		return err
	}
	message := make([]byte, 4096)
	for {
		n, err := conn.Read(message)
		if err != nil {
			return err
		}
		if slices.Contains(strings.Split(string(message[:n]), "\n"), "READY=1") {
			return nil
		}
	}
}

// off kills the machine. When the kernel reports the end of PID 1, all other
// processes of the namespace have ended too (pid_namespaces(7)). A second call
// does nothing.
func (p *pid1) off() error {
	err := p.cmd.Process.Kill()
	<-p.exited.Done()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
