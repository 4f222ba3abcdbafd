// Sdroots prepares a Debian machine for the tests that boot systemd: it
// installs the packages they need and makes the root folders with other
// versions of systemd. Run it as root, from anywhere in the module:
//
//	go run ./internal/rig/sdtest/cmd/sdroots
//
// It may be run again at any time; what is there is left alone. The folders are
// kept in $HEIRLOOM_ROOTS, or in /var/cache/heirloom. Remove one to have it
// made anew.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := roots.SetUp(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdroots:", err)
		os.Exit(1)
	}
}
