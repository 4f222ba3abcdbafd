// Demo shows a reload under load: it builds examples/hello, starts it, lets clients that never retry loose on it, and
// replaces it, time and again, with `hello reload`. It needs Linux and Go, and neither root nor systemd.
//
//	go run ./internal/demo [-reloads 10] [-every 800ms]
//
// It exits with status 1 if one request broke, a reload failed, a process of the service ended badly or had to be killed,
// or it was interrupted. In each case no process is left behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/loadtest"
)

// The crowd of clients.
const (
	keepAliveClients = 50
	otherClients     = 2 // of every other class
)

// How long the first start, the last stop, a command, and the first answer of a new generation may take.
const (
	startTimeout   = 10 * time.Second
	stopTimeout    = 10 * time.Second
	commandTimeout = 20 * time.Second
	answerTimeout  = 5 * time.Second
)

type options struct {
	reloads int
	every   time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.reloads, "reloads", 10, "how many times to reload")
	flag.DurationVar(&o.every, "every", 800*time.Millisecond, "time from one reload to the next")
	flag.Parse()
	// SIGPIPE as well: `make demo | head` must not leave a service behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "heirloom-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(out, "building examples/hello")
	program := filepath.Join(dir, "hello")
	if err := build(ctx, program); err != nil {
		return err
	}
	s, err := startService(program, dir)
	if err != nil {
		return err
	}
	report, err := s.perform(ctx, o, out)
	err = errors.Join(err, s.end(out, err))
	if report != nil {
		fmt.Fprintf(out, "\n%v\n\n%d requests, %d broken, %d connections opened, %d generations\n",
			report, report.Requests, report.Broken, report.Connections, len(report.Generations))
	}
	return err
}

func build(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/heirloom-go/heirloom/examples/hello")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it waits for its compilers then
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	return nil
}

// perform puts the service under load, reloads it, and judges what the clients met. The report is nil if there was no load.
func (s *service) perform(ctx context.Context, o options, out io.Writer) (*loadtest.Report, error) {
	if err := s.waitServing(ctx); err != nil {
		return nil, err
	}
	crowd := loadtest.OfEach(otherClients)
	crowd[loadtest.KeepAlive] = keepAliveClients
	fmt.Fprintf(out, "serving on %s; %d keep-alive clients and %d of each of %d other kinds begin to ask\n",
		s.address, keepAliveClients, otherClients, len(crowd)-1)
	load := loadtest.Start(loadtest.Target{Address: s.address}, crowd)
	err := s.reloadUnder(ctx, load, o, out)
	if err == nil {
		err = s.show(out, "status")
	}
	report := load.Stop()
	if report.Broken > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d requests are broken", report.Broken, report.Requests))
	}
	return &report, err
}

// reloadUnder reloads at the pace of o, and tells each second how the clients fare.
func (s *service) reloadUnder(ctx context.Context, load *loadtest.Run, o options, out io.Writer) error {
	next, second := time.NewTicker(o.every), time.NewTicker(time.Second)
	defer next.Stop()
	defer second.Stop()
	done := 0
	for done < o.reloads && ctx.Err() == nil {
		select {
		case <-next.C:
			done++
			if err := s.reload(load, done, out); err != nil {
				return fmt.Errorf("reload %d: %w", done, err)
			}
		case <-second.C:
			r := load.Snapshot()
			fmt.Fprintf(out, "%4.0f s  %d requests, %d broken, %d connections opened\n",
				r.Elapsed.Seconds(), r.Requests, r.Broken, r.Connections)
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted after %d of %d reloads: %w", done, o.reloads, context.Cause(ctx))
	}
	return nil
}

// reload reloads and waits until the new generation has answered a request. It takes milliseconds and is not interrupted,
// so that an interrupted demo can still tell whether a request broke.
func (s *service) reload(load *loadtest.Run, n int, out io.Writer) error {
	fmt.Fprintf(out, "reload %d  ", n)
	if err := s.show(out, "reload"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	return load.WaitGeneration(ctx, n+1)
}
