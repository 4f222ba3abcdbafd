package sdtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// How long a machine may take to boot, and its journal to be read after a
// failure, as package patience stretches it.
const (
	bootTimeout    = time.Minute
	journalTimeout = 20 * time.Second
)

// Machine is a booted systemd. Its methods may be called by many goroutines at
// once, except that those which fail the test, as all do that return no error,
// must be called from the test's own goroutine, as with testing.T.FailNow.
// After the test has ended, whatever needs the machine answers an error that
// wraps os.ErrClosed.
type Machine struct {
	t TB
	*core
}

// core is what the views of one machine share.
type core struct {
	pid     int          // of its PID 1, as seen from the host
	cgroup  string       // its root control group, as the host sees it
	threads *threads     // inside its namespaces
	off     func() error // kills every process
	release func() error // removes the control group, when off

	mu       sync.Mutex
	commands []*Command // all that were started
	joined   int        // how many networks
}

// For returns the same machine with t as the test that it fails, for use in a
// subtest. The machine still ends with the test that booted it.
func (m *Machine) For(t TB) *Machine { return &Machine{t: t, core: m.core} }

// Root returns the path by which the host reaches the machine's root folder. It
// is for looking and for file names that hold no symbolic link: an absolute
// link in it leads to the host's own files. [Machine.WriteFile],
// [Machine.Install] and [Machine.Inside] follow links as the machine does.
func (m *Machine) Root() string { return fmt.Sprintf("/proc/%d/root", m.pid) }

// Inside calls f on a thread that has the machine's root folder, network, host
// name, IPC and control group namespaces, and whose child processes are born
// into its process namespace. It returns what f returns.
//
// Only f's own goroutine is inside: it must leave nothing to others that asks
// for a namespace, must not end by runtime.Goexit (so not by
// testing.T.FailNow), and must not rely on the working directory.
func (m *Machine) Inside(f func() error) error { return m.threads.do(f) }

// end logs the journal of a failed test and switches the machine off.
func (m *Machine) end() {
	if m.t.Failed() {
		m.t.Logf("the end of the machine's journal:\n%s", m.lastWords())
	}
	if err := m.off(); err != nil {
		m.t.Errorf("switch off the machine: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.commands {
		<-c.done
	}
	if err := errors.Join(m.threads.close(), m.release()); err != nil {
		m.t.Errorf("clean up after the machine: %v", err)
	}
}

// lastWords reads the journal without trusting the machine to be in order.
func (m *Machine) lastWords() string {
	ctx, cancel := patience.Context(context.Background(), journalTimeout)
	defer cancel()
	_, _ = m.RunContext(ctx, "journalctl", "--sync")
	out, err := m.RunContext(ctx, "journalctl", "--no-pager", "-o", "short-monotonic", "-n", "100")
	if err != nil {
		out += fmt.Sprintf("(journalctl: %v)\n", err)
	}
	return out
}
