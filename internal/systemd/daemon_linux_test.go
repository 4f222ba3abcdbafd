package systemd_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/systemd"
	"github.com/heirloom-go/heirloom/notify"
)

// A report is a line of what the daemon writes to its standard output: one when
// it is ready, and one when it has asked.
type report struct {
	Handed  string // at the start: what it got from the file descriptor store
	Asked   bool
	Ends    bool
	Error   string
	Matches []string // what the error is
	Took    time.Duration
}

func init() { roles["daemon"] = playDaemon }

// playDaemon is a service that has something in the file descriptor store and
// asks once it is told to stop. With an argument it does not end then.
func playDaemon() error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	handed := os.Getenv("LISTEN_FDNAMES")
	if err := json.NewEncoder(os.Stdout).Encode(report{Handed: handed}); err != nil {
		return err
	}
	if err := getReady(handed == ""); err != nil {
		return err
	}
	<-terminated
	if err := json.NewEncoder(os.Stdout).Encode(ask()); err != nil {
		return err
	}
	if len(os.Args) > 1 {
		select {}
	}
	return nil
}

func getReady(store bool) error {
	notifier, err := notify.New()
	if err != nil {
		return err
	}
	defer notifier.Close()
	if store {
		if err := notifier.Notify(notify.FDStore("kept", syscall.Stdin)); err != nil {
			return err
		}
	}
	return notifier.Notify(notify.Ready())
}

func ask() report {
	ctx, cancel := patience.Context(context.Background(), 30*time.Second)
	defer cancel()
	began := time.Now()
	ends, err := systemd.Ending(ctx)
	r := report{Asked: true, Ends: ends, Took: time.Since(began)}
	if err != nil {
		r.Error, r.Matches = err.Error(), matches(err)
	}
	return r
}

func matches(err error) []string {
	var names []string
	for _, match := range []struct {
		name string
		err  error
	}{
		{"unanswered", systemd.ErrUnanswered},
		{"unsupported", errors.ErrUnsupported},
		{"no-unit", systemd.ErrNoUnit},
		{"not-exist", fs.ErrNotExist},
		{"permission", fs.ErrPermission},
		{"deadline", context.DeadlineExceeded},
	} {
		if errors.Is(err, match.err) {
			names = append(names, match.name)
		}
	}
	return names
}
