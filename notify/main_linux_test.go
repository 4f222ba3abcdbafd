package notify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/notify"
)

// roleVariable makes the test binary play a part instead of testing.
const roleVariable = "NOTIFY_TEST_ROLE"

var roles = map[string]func() error{
	"service":  playService,
	"executor": playExecutor,
	"executed": playExecuted,
	"managed":  playManaged,
}

func TestMain(m *testing.M) {
	if role, found := os.LookupEnv(roleVariable); found {
		play(role)
	}
	// Not to be taken for a service by whatever started the tests.
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(name)
	}
	primePoller()
	before := openDescriptors()
	code := m.Run()
	if leaked := since(before); code == 0 && len(leaked) > 0 {
		fmt.Fprintln(os.Stderr, "descriptors left open:", leaked)
		code = 1
	}
	if stacks := strayGoroutines(); code == 0 && stacks != "" {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+stacks)
		code = 1
	}
	os.Exit(code)
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

// playService is the main of a daemon, as in the package comment.
func playService() error {
	manager, err := notify.New()
	if err != nil {
		return err
	}
	defer manager.Close()
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return fmt.Errorf("New unset NOTIFY_SOCKET")
	}
	return manager.Notify(notify.Ready(), notify.MainPID(os.Getpid()))
}

// playExecutor opens a Notifier and becomes another program, which must not find its socket.
func playExecutor() error {
	manager, err := notify.New()
	if err != nil {
		return err
	}
	if err := manager.Notify(notify.Ready()); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, []string{roleVariable + "=executed", "GORACE=atexit_sleep_ms=0"})
}

func playExecuted() error {
	for _, name := range openDescriptors() {
		if strings.HasPrefix(name, "socket:") {
			return fmt.Errorf("inherited a socket")
		}
	}
	return nil
}

// primePoller makes the runtime open its own descriptors, which stay.
func primePoller() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	_ = r.Close()
	_ = w.Close()
}

// openDescriptors maps the number of each open descriptor to what it is.
func openDescriptors() map[string]string {
	open := map[string]string{}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		// The descriptor with which Glob read the directory is gone by now.
		if target, err := os.Readlink(link); err == nil {
			open[filepath.Base(link)] = target
		}
	}
	return open
}

// since lists what is open now and was not before.
func since(before map[string]string) []string {
	var leaked []string
	for fd, target := range openDescriptors() {
		if before[fd] != target {
			leaked = append(leaked, fd+" "+target)
		}
	}
	return leaked
}

// leakless fails the test if descriptors are still open when it and its other clean-ups are over.
func leakless(t *testing.T) {
	t.Helper()
	before := openDescriptors()
	t.Cleanup(func() {
		if leaked := since(before); len(leaked) > 0 {
			t.Errorf("descriptors left open: %v", leaked)
		}
	})
}

// strayGoroutines returns the stacks of goroutines that run code of this package.
func strayGoroutines() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var stray []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		if i > 0 && strings.Contains(stack, "heirloom/notify") {
			stray = append(stray, stack)
		}
	}
	return strings.Join(stray, "\n\n")
}
