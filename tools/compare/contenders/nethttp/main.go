// Nethttp says hello with net/http alone, on a socket of systemd's, and ends by
// Shutdown. It says when it is ready, if its unit asks for that.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	listeners, err := activation.Listeners()
	if err != nil {
		return err
	}
	if len(listeners) != 1 {
		return fmt.Errorf("%d sockets were passed, want 1", len(listeners))
	}
	handler, err := hello.Handler(version)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ended <- server.Shutdown(limit)
	}()
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return err
	}
	if err := hello.Serve(server, listeners[0]); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
