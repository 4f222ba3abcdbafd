package lifecycle_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// toldLate is a program that waits for SIGTERM itself as well, as those do that
// give Run a context of signal.NotifyContext. At the step of its replacement
// that a variable names, its first generation is told to stop.
func toldLate(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan os.Signal, 1)
	signal.Notify(seen, syscall.SIGTERM)
	service.SetTestHook(func(step string) {
		if service.Generation() > 1 {
			return
		}
		switch step {
		case os.Getenv("HEIRLOOM_TEST_TERM_AT"):
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		case os.Getenv("HEIRLOOM_TEST_CANCEL_AT"):
			cancel()
		}
	})
	return service.Run(ctx)
}

// TestInPlaceToldLate is told to stop when nothing but execve(2) is left to do:
// that ends the service, in this program or the next.
func TestInPlaceToldLate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, told string }{
		{"signal before the last look", "TERM_AT=replace"},
		{"signal after the last look", "TERM_AT=last words"},
		{"context before the last look", "CANCEL_AT=replace"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=told late", "HEIRLOOM_TEST_REPLACE=in-place", "HEIRLOOM_TEST_"+test.told)
			d.signal(syscall.SIGHUP)
			err := d.awaitExit()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
				err = nil
			}
			if err != nil {
				t.Errorf("the process ended with %v", err)
			}
			if strings.Contains(d.logged(), "generation=3") {
				t.Error("it went on")
			}
		})
	}
}
