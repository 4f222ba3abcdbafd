package execreplace_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

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
