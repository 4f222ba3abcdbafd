package notify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
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

// playExecutor opens a Notifier and becomes another program, which must not
// find its socket.
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
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if name, _ := os.Readlink(link); strings.HasPrefix(name, "socket:") {
			return fmt.Errorf("inherited a socket")
		}
	}
	return nil
}
