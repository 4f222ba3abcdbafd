package passedstate_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var log = hclog.NewNullLogger()

// TestPass passes a state with a file, as the next process gets it.
func TestPass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	source := passedstate.NewSource("cache", func() (passedstate.State, error) {
		return passedstate.State{Version: 2, Data: []byte("data"), Files: []*os.File{file}}, nil
	})
	all, err := passedstate.Collect(context.Background(), []*passedstate.Source{source}, log)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v", all, err)
	}
	var next passedstate.Received
	send := func(m handover.Message, fds ...int) error {
		var copies []int
		for _, fd := range fds { // as over a socket: those of the sender stay its own
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			dup, err := fdutil.Duplicate(f)
			_ = f.Close()
			if err != nil || fd < 0 {
				return err
			}
			copies = append(copies, dup)
		}
		next.Add(m, copies)
		return nil
	}
	for range 2 { // a second one of the name replaces the first, and closes its files
		if err := all[0].Send(send); err != nil {
			t.Fatal(err)
		}
	}
	s, ok := next.Take("cache")
	if !ok || s.Version != 2 || string(s.Data) != "data" || len(s.Files) != 1 {
		t.Fatalf("got %+v, %v", s, ok)
	}
	if content, err := io.ReadAll(s.Files[0]); err != nil || string(content) != "content" {
		t.Errorf("the file has %q, %v", content, err)
	}
	s.Close()
	if _, ok := next.Take("cache"); ok {
		t.Error("a state was taken twice")
	}
	if err := all[0].Send(send); err != nil {
		t.Fatal(err)
	}
	next.Drop(log) // or leakcheck finds its file
	if _, ok := next.Take("cache"); ok {
		t.Error("a state was taken that was dropped")
	}
}

// TestCollect says which function failed, which panicked and which hangs, and
// does not call one that hangs again.
func TestCollect(t *testing.T) {
	release := make(chan struct{})
	errFull := errors.New("the disk is full")
	hangs := passedstate.NewSource("hangs", func() (passedstate.State, error) {
		<-release
		return passedstate.State{}, nil
	})
	sources := []*passedstate.Source{
		passedstate.NewSource("fails", func() (passedstate.State, error) { return passedstate.State{}, errFull }),
		passedstate.NewSource("panics", func() (passedstate.State, error) { panic("a bad day") }),
		hangs,
	}
	errShort := errors.New("no time")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 100*time.Millisecond, errShort)
	defer cancel()
	all, err := passedstate.Collect(ctx, sources[2:], log)
	if all != nil || !errors.Is(err, errShort) || !strings.Contains(err.Error(), `"hangs": its function did not return in time`) {
		t.Errorf("got %v, %v", all, err)
	}
	_, err = passedstate.Collect(context.Background(), sources, log)
	for _, want := range []string{
		`passed state "fails": the disk is full`,
		`passed state "panics": panic: a bad day`,
		`passed state "hangs": its function has not returned from the call before`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	close(release)
}

// TestSendFails names the state, and leaves no duplicate open.
func TestSendFails(t *testing.T) {
	errGone := errors.New("the peer is gone")
	g := passedstate.Given{Name: "cache", State: passedstate.State{Files: []*os.File{os.Stdin}}}
	if err := g.Send(func(handover.Message, ...int) error { return errGone }); !errors.Is(err, errGone) || !strings.Contains(err.Error(), `"cache"`) {
		t.Errorf("got %v", err)
	}
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	g.State.Files = append(g.State.Files, closed)
	if err := g.Send(func(handover.Message, ...int) error { return nil }); err == nil || !strings.Contains(err.Error(), `"cache"`) {
		t.Errorf("got %v", err)
	}
}
