package loadtest_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails the package when descriptors or goroutines outlive the tests.
func TestMain(m *testing.M) {
	// The runtime's poller opens descriptors of its own at the first use of the network.
	if listener, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = listener.Close()
	}
	descriptors, goroutines := openDescriptors(), runtime.NumGoroutine()
	code := m.Run()
	// Package testing leaves its signal handling running after it has fuzzed.
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if code == 0 && !fuzzing && !settled(descriptors, goroutines) {
		code = 1
	}
	os.Exit(code)
}

// settled waits until goroutines that are on their way out are gone, and reports what stays.
func settled(descriptors, goroutines int) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if openDescriptors() <= descriptors && runtime.NumGoroutine() <= goroutines {
			return true
		}
	}
	fmt.Printf("leak: %d descriptors and %d goroutines, were %d and %d\n",
		openDescriptors(), runtime.NumGoroutine(), descriptors, goroutines)
	_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 2)
	return false
}

// openDescriptors counts them where the system lists them, and is 0 elsewhere.
func openDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
