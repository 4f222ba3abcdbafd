package background_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/background"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// TestEvents brings what has happened to the loop, which is this goroutine, as
// long as that goes on.
func TestEvents(t *testing.T) {
	over := make(chan struct{})
	b := background.New(over, hclog.NewNullLogger())
	errFailed := errors.New("it failed")
	var got error
	b.Call("that function", func() error { return errFailed }, func(err error) { got = err })
	(<-b.Events())()
	if !errors.Is(got, errFailed) {
		t.Errorf("got %v", got)
	}
	happened := false
	b.Aside(func(context.Context) func() { return func() { happened = true } })
	(<-b.Events())()
	if !happened {
		t.Error("it has not happened")
	}
	b.Aside(func(alive context.Context) func() {
		<-alive.Done()
		return func() { t.Error("it happened after the end") }
	})
	b.Die()
	close(over)
	b.Await(time.Hour) // nobody takes the event
}

// A slowCloser says that Close was called, and then ends when it is closed.
type slowCloser chan struct{}

func (c slowCloser) Close() error {
	c <- struct{}{}
	<-c
	return nil
}

// TestBegunLater waits for what begins while there is nothing but the wait.
func TestBegunLater(t *testing.T) {
	b := background.New(nil, hclog.NewNullLogger())
	last := make(slowCloser)
	b.Go(func() { b.Close(last) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Await(time.Hour)
	}()
	select {
	case <-ended:
		t.Error("it did not wait for a Close that something else had begun")
	case <-last: // Close was called
		close(last)
		<-ended
	}
}

// TestLeftBehind waits for a Close of the program's, but not for ever.
func TestLeftBehind(t *testing.T) {
	var log bytes.Buffer
	b := background.New(nil, hclog.New(&hclog.LoggerOptions{Output: &log}))
	hangs := make(slowCloser)
	b.Close(hangs)
	<-hangs // so that it is in the stacks
	b.Await(time.Millisecond)
	if !strings.Contains(log.String(), "leaving behind what does not return") || !strings.Contains(log.String(), "slowCloser") {
		t.Errorf("the log is %q", &log)
	}
	log.Reset()
	close(hangs)
	b.Await(time.Hour)
	if log.Len() > 0 {
		t.Errorf("the log is %q", &log)
	}
}
