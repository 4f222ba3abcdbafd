package sdtest_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// roleVariable picks what this binary does instead of testing.
const (
	roleVariable   = "HEIRLOOM_SDTEST_ROLE"
	bootRole       = "boot"
	mainThreadRole = "main-thread"
)

// A goroutine that locks its thread while packages are initialised gets the
// process's first.
func init() {
	if os.Getenv(roleVariable) == mainThreadRole {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		leakcheck.Main(m)
	case bootRole:
		bootAndStay()
	case mainThreadRole:
		enterFromMainThread()
	default:
		fmt.Fprintf(os.Stderr, "%s=%q: no such role\n", roleVariable, role)
		os.Exit(2)
	}
}

// bootAndStay boots a machine in a network, leaves a process in it, says where
// they are, and waits to be killed.
func bootAndStay() {
	m, err := sdtest.BootBare("/")
	if err == nil {
		_, err = m.Run("sh", "-c", "sleep infinity >/dev/null 2>&1 &")
	}
	var network string
	if err == nil {
		network, err = joinAndStay(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(m.PID1(), m.Cgroup(), network)
	select {}
}

// held keeps what must stay open.
var held *os.File

// joinAndStay makes a network, has the machine join it, and returns the name of
// its namespace.
func joinAndStay(m *sdtest.Machine) (string, error) {
	bridge, err := sdtest.MakeBridge()
	if err != nil {
		return "", err
	}
	held = bridge
	if err := sdtest.Plug(bridge, m.PID1(), "eth0", "192.0.2.1/24"); err != nil {
		return "", err
	}
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", bridge.Fd()))
}

// enterFromMainThread calls Inside from the first thread, on which the
// scheduler then likes to run what Inside starts. If that thread went inside,
// /proc/self would be about the machine.
func enterFromMainThread() {
	m, err := sdtest.BootBare("/")
	before, _ := os.Readlink("/proc/self/ns/net")
	runtime.UnlockOSThread()
	if err == nil {
		err = m.Inside(func() error { return nil })
	}
	if after, _ := os.Readlink("/proc/self/ns/net"); err == nil && before != after {
		err = fmt.Errorf("the process was in %s and is in %s", before, after)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
