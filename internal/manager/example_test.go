package manager_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/manager"
)

// A service removes the path of the socket that it bound, and put into the file descriptor store, unless somebody may come
// for it.
func ExampleEnding() {
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-terminated.Done()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ends, err := manager.Ending(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the path stays:", err)
	}
	if ends {
		if err := os.Remove("/run/hello/socket"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
