package manager_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roleVariable makes the test binary play a part instead of testing.
const roleVariable = "MANAGER_TEST_ROLE"

// roles are added to where they are played.
var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	role, found := os.LookupEnv(roleVariable)
	if !found {
		os.Exit(m.Run())
	}
	if err := roles[role](); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

// noLeaks fails the test if descriptors or goroutines of the package outlive it. Goroutines that were told to end may take
// a moment to do so.
func noLeaks(t *testing.T) {
	t.Helper()
	before := descriptors()
	t.Cleanup(func() {
		deadline := time.Now().Add(10 * time.Second)
		for stray := strayGoroutines(); stray != ""; stray = strayGoroutines() {
			if time.Now().After(deadline) {
				t.Errorf("goroutines left behind:\n%s", stray)
				return
			}
			time.Sleep(time.Millisecond)
		}
		if after := descriptors(); after > before {
			t.Errorf("%d descriptors open, %d before", after, before)
		}
	})
}

func strayGoroutines() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var stray []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "internal/manager.") {
			stray = append(stray, stack)
		}
	}
	return strings.Join(stray, "\n\n")
}

// descriptors counts after the runtime has opened those of its own, which stay. There are none to be seen elsewhere than
// on Linux.
func descriptors() int {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}
