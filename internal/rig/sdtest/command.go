package sdtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// searchPath is where commands are looked for inside.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// outputDelay is how long a command's output is awaited after its end, in case
// a process it left behind holds it open, as package patience stretches it.
const outputDelay = 10 * time.Second

// Run runs a command inside, as root in /, with a clean environment and no
// input, waits for it, and returns what it wrote to standard output and
// standard error. A command that exits with another code than 0 answers an
// *exec.ExitError, one that is not there exec.ErrNotFound, and one that leaves
// a process behind which holds its output open exec.ErrWaitDelay.
func (m *Machine) Run(name string, args ...string) (string, error) {
	return m.RunContext(context.Background(), name, args...)
}

// RunContext is [Machine.Run] with an end: when ctx is done the command is
// killed.
func (m *Machine) RunContext(ctx context.Context, name string, args ...string) (string, error) {
	var out buffer
	cmd, err := m.command(ctx, &out, name, args)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s inside: %w", commandLine(name, args), err)
	}
	return out.String(), err
}

// MustRun is [Machine.Run] that fails the test, with the output, unless the
// command exits with 0.
func (m *Machine) MustRun(name string, args ...string) string {
	m.t.Helper()
	out, err := m.Run(name, args...)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Start starts a command as [Machine.Run] does and leaves it running. If it
// still runs when the machine ends it is killed. Start fails the test if the
// command cannot be started.
func (m *Machine) Start(name string, args ...string) *Command {
	m.t.Helper()
	c := &Command{done: make(chan struct{})}
	cmd, err := m.command(context.Background(), &c.out, name, args)
	if err != nil {
		m.t.Fatalf("start %s inside: %v", commandLine(name, args), err)
	}
	c.cmd = cmd
	go func() {
		defer close(c.done)
		c.err = cmd.Wait()
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands = append(m.commands, c)
	return c
}

// command starts a command whose output goes to out. The child is in the
// machine because the thread is.
func (m *Machine) command(ctx context.Context, out io.Writer, name string, args []string) (*exec.Cmd, error) {
	var cmd *exec.Cmd
	err := m.Inside(func() error {
		path, err := lookPath(name)
		if err != nil {
			return err
		}
		cmd = exec.CommandContext(ctx, path, args...)
		cmd.Args[0] = name
		cmd.Env = []string{"PATH=" + searchPath, "HOME=/root", "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
		cmd.Dir = "/"
		cmd.Stdout, cmd.Stderr = out, out
		cmd.WaitDelay = patience.Of(outputDelay)
		return cmd.Start()
	})
	return cmd, err
}

// lookPath is exec.LookPath with the machine's PATH. It runs inside.
func lookPath(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(searchPath) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

func commandLine(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}

// Command is a command that runs inside. Goroutines may share it.
type Command struct {
	cmd  *exec.Cmd
	out  buffer
	done chan struct{} // closed when err is set
	err  error
}

// Wait waits for the command to end and returns what [Machine.Run] would have.
// It may be called again.
func (c *Command) Wait() (string, error) {
	<-c.done
	return c.out.String(), c.err
}

// Done returns a channel that is closed when the command has ended.
func (c *Command) Done() <-chan struct{} { return c.done }

// Output returns what the command has written so far.
func (c *Command) Output() string { return c.out.String() }

// Signal sends a signal. After the command has ended it answers
// os.ErrProcessDone.
func (c *Command) Signal(sig os.Signal) error { return c.cmd.Process.Signal(sig) }

// HostPID returns the command's process id as seen from the host.
func (c *Command) HostPID() int { return c.cmd.Process.Pid }

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
