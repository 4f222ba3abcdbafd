package process_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/process"
)

func start(t *testing.T, script string, files ...int) *process.Process {
	t.Helper()
	p, err := process.Start("/bin/sh", []string{"sh", "-c", script}, os.Environ(), files, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

func TestWait(t *testing.T) {
	for script, want := range map[string]string{"exit 0": "exit status 0", "exit 3": "exit status 3", "kill -9 $$": "signal killed"} {
		p := start(t, script)
		if got, err := p.Wait(t.Context()); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", script, got, err, want)
		}
	}
}

// A process that was not started here can be waited for, but not asked how it
// ended.
func TestFind(t *testing.T) {
	p := start(t, "read line")
	found := process.Find(p.PID)
	defer found.Release()
	p.Kill()
	if how, err := found.Wait(t.Context()); how != "" || err != nil {
		t.Errorf("%q, %v", how, err)
	}
}

func TestWaitEnds(t *testing.T) {
	p := start(t, "exec sleep 1000")
	defer p.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	found := process.Find(p.PID)
	defer found.Release()
	if how, err := found.Wait(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a wait whose context ends: %q, %v", how, err)
	}
	found = process.Find(p.PID)
	defer found.Release()
	found.StopWaiting()
	if how, err := found.Wait(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a wait that was ended: %q, %v", how, err)
	}
}

// The files become descriptors 3 and on.
func TestFiles(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := start(t, "echo hello >&3", int(w.Fd()))
	_ = w.Close()
	said, err := io.ReadAll(r)
	if string(said) != "hello\n" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	if how, err := p.Wait(t.Context()); how != "exit status 0" || err != nil {
		t.Errorf("%q, %v", how, err)
	}
}

func TestStartNothing(t *testing.T) {
	_, err := process.Start("/nonexistent", []string{"x"}, nil, nil, false)
	var path *os.PathError
	if !errors.As(err, &path) || path.Path != "/nonexistent" || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
