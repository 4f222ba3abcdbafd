package callback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var silent = hclog.NewNullLogger()

var errFailed = errors.New("it failed")

// TestCall says how functions end.
func TestCall(t *testing.T) {
	var log bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &log})
	for name, test := range map[string]struct {
		f    func() error
		want string
	}{
		"nil":    {func() error { return nil }, ""},
		"error":  {func() error { return errFailed }, errFailed.Error()},
		"panic":  {func() error { panic("a bad day") }, "panic: a bad day"},
		"Goexit": {func() error { runtime.Goexit(); return nil }, "it ended its goroutine (runtime.Goexit)"},
	} {
		log.Reset()
		done := make(chan error)
		callback.Call(logger, "that function", test.f, func(err error) { done <- err })
		err := <-done
		if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		if said := strings.Contains(log.String(), "TestCall"); said != (name == "panic") {
			t.Errorf("%s: the stack is in the log: %v", name, said)
		}
		if strings.Contains(log.String(), `\t`) {
			t.Errorf("%s: tabs are escaped in the log", name)
		}
	}
}

type slowCloser struct{ closing, closed chan struct{} }

func (c slowCloser) Close() error {
	close(c.closing)
	<-c.closed
	return nil
}

// TestClose does not wait for the Close of the program.
func TestClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	now := false
	callback.Close(silent, l, func() { now = true })
	if !now {
		t.Error("a listener of package net was not closed at once")
	}
	slow := slowCloser{make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	callback.Close(silent, io.Closer(slow), func() { close(ended) })
	<-slow.closing
	select {
	case <-ended:
		t.Error("it was closed before Close returned")
	default:
	}
	close(slow.closed)
	<-ended
}

// TestJobs starts a server and a worker, ends them, and kills what does not
// end. This goroutine is the loop.
func TestJobs(t *testing.T) {
	events := make(chan func())
	next := func() { (<-events)() }
	var ends []string
	note := func(e callback.JobEnd) {
		what := e.Job.Name + " End"
		if e.WasRun {
			what = e.Job.Name + " Run"
		}
		if e.Err != nil {
			what += ": " + e.Err.Error()
		}
		ends = append(ends, what)
	}
	killed := make(chan struct{})
	server := &callback.Job{
		Name: "server",
		Run:  func(context.Context) error { <-killed; return errFailed },
		End:  func(ctx context.Context) error { <-ctx.Done(); return nil },
		Kill: func() { close(killed) },
	}
	worker := &callback.Job{Name: "a worker", Worker: true, Run: func(ctx context.Context) error { <-ctx.Done(); return nil }}
	jobs := callback.NewJobs(callback.JobsConfig{
		All: []*callback.Job{server, worker}, Log: silent, Post: func(f func()) { events <- f }, Ended: note,
	})
	if jobs.AreWorking() || len(jobs.Names()) > 0 {
		t.Error("jobs work that were not started")
	}
	ctx, cancel := context.WithCancel(context.Background())
	jobs.Start(ctx, false)
	if names := jobs.Names(); !slices.Equal(names, []string{"server"}) {
		t.Errorf("without workers: %q", names)
	}
	jobs.Start(ctx, true)
	jobs.Start(ctx, true) // once is enough
	if names := jobs.Names(); !slices.Equal(names, []string{"a worker", "server"}) {
		t.Errorf("with workers: %q", names)
	}
	cancel()
	next()
	jobs.End(ctx)
	next()
	if names := jobs.Names(); !slices.Equal(names, []string{"server"}) || !jobs.AreWorking() {
		t.Errorf("a server that does not end: %q", names)
	}
	jobs.Kill()
	if jobs.AreKilled() {
		t.Error("Kill has returned before the loop was told")
	}
	next()
	next()
	if jobs.AreWorking() || !jobs.AreKilled() {
		t.Error("jobs work after Kill")
	}
	if want := []string{"a worker Run", "server End", "server Run: it failed"}; !slices.Equal(ends, want) {
		t.Errorf("got %q, want %q", ends, want)
	}
}

// TestHooks calls the last hook first, and each has a share of the time.
func TestHooks(t *testing.T) {
	var ran []string
	var shares []time.Duration
	var hooks callback.Hooks
	add := func(name string, err error) {
		hooks.Add(name, func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			ran, shares = append(ran, name), append(shares, time.Until(deadline))
			return err
		})
	}
	if hooks.Any() {
		t.Error("there are some before any was added")
	}
	add("first", nil)
	add("second", errFailed)
	err := hooks.Run(time.Now().Add(time.Hour), silent)
	if !errors.Is(err, errFailed) || err.Error() != "second: it failed" {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(ran, []string{"second", "first"}) || shares[0] > time.Hour/2 || shares[1] < time.Hour/2 {
		t.Errorf("ran %q with %v", ran, shares)
	}
}
