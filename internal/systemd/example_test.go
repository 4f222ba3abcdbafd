package systemd_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/systemd"
)

// A service removes the path of the socket that it bound, and put into the file
// descriptor store, unless somebody may come for it.
func ExampleEnding() {
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-terminated.Done()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ends, err := systemd.Ending(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the path stays:", err)
	}
	if ends {
		if err := os.Remove("/run/hello/socket"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// A service drains for as long as its unit lets it, less a second for what
// comes after.
func ExampleStopTimeout() {
	limit := time.Minute
	timeout, err := systemd.StopTimeout(context.Background())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "draining for a minute at most:", err)
	case !timeout.Infinite:
		limit = max(timeout.Duration-time.Second, timeout.Duration/2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_ = new(http.Server).Shutdown(ctx)
}
