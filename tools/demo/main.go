// Demo shows reloads under load: it builds examples/hello, starts it, lets
// clients that never retry loose on it, and replaces it time and again with
// `hello reload`. In its first act the next generation starts beside the old
// one, as under systemd; in the second it replaces the program in the same
// process, as in a container or a terminal. It needs Linux and Go, and neither
// root nor systemd.
//
//	go run ./tools/demo [-reloads 10] [-pause 400ms] [-program FILE]
//
// In a terminal it shows how the clients fare while they ask; elsewhere, with
// NO_COLOR, and with TERM=dumb it prints plain lines. It ends with a picture of
// which generation answered when, how long answers took around each reload, and
// one line of figures. Those of latency leave out the clients that ask for a
// late answer; a request belongs to a reload if any of its time does.
//
// It exits with status 1 if one request broke, a reload failed, a process of
// the service ended badly or had to be killed, or it was interrupted. In each
// case no process is left behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// How long the first start, the last stop, a command, and the first answer of a
// new generation may take. It is a fault that they are for, not a busy machine.
const (
	startTimeout   = time.Minute
	stopTimeout    = time.Minute
	commandTimeout = time.Minute
	answerTimeout  = 30 * time.Second
)

type options struct {
	reloads int
	pause   time.Duration
	program string
}

func main() {
	var o options
	flag.IntVar(&o.reloads, "reloads", 10, "how many times to reload, in each of the two ways")
	flag.DurationVar(&o.pause, "pause", 400*time.Millisecond, "time from the end of one reload to the next")
	flag.StringVar(&o.program, "program", "",
		"the program to reload, instead of examples/hello: it must answer as that does")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// `make demo | head` must leave nothing behind. SIGPIPE alone does not say
	// so: it comes as well when a client writes to a connection that was
	// closed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	out := show.NewScreen(os.Stdout)
	ctx, cancel := context.WithCancelCause(ctx)
	out.OnLoss(func() { cancel(errors.New("nobody takes the output")) })
	err := run(ctx, o, out)
	cancel(nil)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out *show.Screen) (err error) {
	dir, err := os.MkdirTemp("", "heirloom-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := programOf(ctx, o, dir, out)
	if err != nil {
		return err
	}
	acts, err := play(ctx, o, program, dir, out)
	if len(acts) == 0 {
		return err
	}
	out.Print(show.Picture(acts, out.Columns(), out.Paint))
	return err
}

// programOf returns the program to reload, which it builds in dir unless there
// is one.
func programOf(ctx context.Context, o options, dir string, out *show.Screen) (string, error) {
	if o.program != "" {
		return filepath.Abs(o.program)
	}
	out.Say("building examples/hello")
	program := filepath.Join(dir, "hello")
	return program, build(ctx, program)
}

func build(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/heirloom-go/heirloom/examples/hello")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it waits for its compilers then
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	return nil
}

// play performs both acts, the second only if nothing went wrong in the first.
// It returns those in which there was load.
func play(ctx context.Context, o options, program, dir string, out *show.Screen) ([]*show.Act, error) {
	var acts []*show.Act
	for _, w := range []way{beside, inPlace} {
		a, err := perform(ctx, w, o, program, dir, out)
		if a != nil {
			acts = append(acts, a)
		}
		if err != nil {
			return acts, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return acts, nil
}
