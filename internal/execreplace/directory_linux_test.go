package execreplace_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// TestCheckBesideThreads checks a program again and again, and has the kernel
// create what shares this process's directories, as its threads do. Were it
// refused that as it is during execve, Go would end the process after a while.
func TestCheckBesideThreads(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			p, err := execreplace.Open(os.Args[0])
			if err == nil {
				err = p.Close()
			}
			select {
			case <-stop:
				stopped <- err
				return
			default:
				if err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 300 {
		pid, errno := execreplace.ForkSharing()
		if errno != 0 {
			t.Errorf("clone: %v", errno)
			break
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Errorf("wait: %v", err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestOwnDirectory checks that no thread shares its directories with the one
// that calls execve: the kernel would not let it create another thread.
func TestOwnDirectory(t *testing.T) {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err != nil || mode != 0 {
		t.Skipf("a seccomp filter (mode %d, %v) keeps threads from having directories of their own", mode, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	thread, process, err := execreplace.Directories()
	if err != nil || thread != "/" || !strings.HasSuffix(process, here) {
		t.Errorf("the thread is in %q, the process in %q, %v; want / and %q", thread, process, err, here)
	}
}
