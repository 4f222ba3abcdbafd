package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// A status is as much of one as a client reads, and a bit more.
type status struct {
	Name       string      `json:"name"`
	PID        int         `json:"pid"`
	Generation int         `json:"generation"`
	State      string      `json:"state"`
	LastReload *lastReload `json:"last_reload"`
}

type lastReload struct {
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds"`
}

// serve serves a control socket until the test ends, and returns a client that
// asks it.
func serve(t *testing.T, service control.Service) *control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(service)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &control.Client{Name: "daemon", Socket: path, Patience: control.Patience{InPlace: time.Hour}}
}

func ready(context.Context) (any, error) { return status{Name: "daemon", Generation: 1}, nil }

func TestStatus(t *testing.T) {
	want := status{Name: "daemon", PID: 7, Generation: 3, State: "ready", LastReload: &lastReload{"it was late", 1.5}}
	client := serve(t, control.Service{Status: func(context.Context) (any, error) { return want, nil }})
	var got status
	if err := client.Status(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	if *got.LastReload != *want.LastReload {
		t.Errorf("last reload %+v, want %+v", *got.LastReload, *want.LastReload)
	}
	if got.LastReload = want.LastReload; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A program that is replaced in place closes what it has accepted and not read.
// Whoever asked it for its status asks the next one, and not for ever.
func TestStatusWhileReplaced(t *testing.T) {
	for _, closes := range []int32{1, 3, 1 << 30} {
		var asked atomic.Int32
		client := serve(t, control.Service{Status: func(context.Context) (any, error) {
			if asked.Add(1) <= closes {
				panic(http.ErrAbortHandler)
			}
			return status{Generation: 2}, nil
		}})
		var got status
		err := client.Status(t.Context(), &got)
		if ends := closes > 100; ends != errors.Is(err, io.EOF) || !ends && (err != nil || got.Generation != 2) {
			t.Errorf("after %d connections that were closed: %+v, %v", min(closes, asked.Load()), got, err)
		}
	}
}

// What a service refuses is an error that can be told from others, and whose
// text is fit to show.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		err  error
		is   error // what the client's error matches, nil if it is none of ours
		text string
	}{
		{control.ErrStopping, control.ErrStopping, "the service is stopping"},
		{fmt.Errorf("%w: \x1b[31mended", control.ErrReload), control.ErrReload, "reload failed: \ufffd[31mended"},
		{errors.New("out of luck"), nil, "ask daemon: out of luck"},
	} {
		client := serve(t, control.Service{
			Reload: func(context.Context, bool) (handover.Outcome, error) { return handover.Outcome{}, test.err },
			Status: ready,
		})
		_, reloadErr := client.Reload(t.Context())
		_, dryRunErr := client.DryRun(t.Context())
		for _, err := range []error{reloadErr, dryRunErr} {
			if err == nil || err.Error() != test.text {
				t.Errorf("of %q: %v, want %q", test.err, err, test.text)
			}
			for _, sentinel := range []error{control.ErrStopping, control.ErrReload} {
				if errors.Is(err, sentinel) != (sentinel == test.is) {
					t.Errorf("%v: matches %q: %v", err, sentinel, sentinel != test.is)
				}
			}
		}
	}
}

func TestReload(t *testing.T) {
	want := handover.Outcome{Generation: 2, PID: 7, Duration: 1500 * time.Millisecond}
	dry := want
	dry.DryRun = true
	client := serve(t, control.Service{
		Reload: func(_ context.Context, dryRun bool) (handover.Outcome, error) {
			if dryRun {
				return dry, nil
			}
			return want, nil
		},
		Status: ready,
	})
	if got, err := client.Reload(t.Context()); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := client.DryRun(t.Context()); err != nil || got != dry {
		t.Errorf("dry run: %+v, %v, want %+v", got, err, dry)
	}
}

// A dry run that others have made a reload says so: the process that it has
// started serves.
func TestDryRunBecomesReload(t *testing.T) {
	for _, test := range []struct {
		outcome handover.Outcome
		says    string
	}{
		{handover.Outcome{Generation: 1, PID: 6, DryRun: true}, "daemon: the next process was ready after 0s, and is gone; generation 1 serves on\n"},
		{handover.Outcome{Generation: 2, PID: 7}, "daemon: a reload was asked for as well: generation 2 (pid 7) serves, after 0s\n"},
		{handover.Outcome{Generation: 1, InPlace: true}, "daemon: a reload was asked for as well: generation 2 (pid 7) serves, after 0s\n"},
	} {
		client := serve(t, control.Service{
			Reload: func(context.Context, bool) (handover.Outcome, error) { return test.outcome, nil },
			Status: func(context.Context) (any, error) { return status{Generation: 2, PID: 7}, nil },
		})
		var out strings.Builder
		if err := client.Command(t.Context(), []string{"reload", "-dry-run"}, &out, nil); err != nil || out.String() != test.says {
			t.Errorf("%v, %q, want %q", err, out.String(), test.says)
		}
	}
}

// In place, the old program says only that it has begun. The new one tells the
// rest in its status.
func TestReloadInPlace(t *testing.T) {
	for _, reason := range []string{"", "no such file"} {
		var asked atomic.Int32
		client := serve(t, control.Service{
			Reload: func(context.Context, bool) (handover.Outcome, error) {
				return handover.Outcome{Generation: 1, InPlace: true}, nil
			},
			Status: func(context.Context) (any, error) {
				if asked.Add(1) < 3 {
					return status{Generation: 1}, nil
				}
				return status{Generation: 2, PID: 7, LastReload: &lastReload{reason, 1.5}}, nil
			},
		})
		got, err := client.Reload(t.Context())
		if reason != "" {
			if !errors.Is(err, control.ErrReload) || !strings.Contains(err.Error(), reason) {
				t.Errorf("%v, want ErrReload and %q", err, reason)
			}
			continue
		}
		if want := (handover.Outcome{Generation: 2, PID: 7, Duration: 1500 * time.Millisecond}); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// TestReloadInPlaceFails: the new program has ended. Its own output is the
// answer, and not where the socket was looked for.
func TestReloadInPlaceFails(t *testing.T) {
	var socket string
	client := serve(t, control.Service{
		Reload: func(context.Context, bool) (handover.Outcome, error) {
			return handover.Outcome{Generation: 1, InPlace: true}, os.Remove(socket)
		},
	})
	socket = client.Socket
	_, err := client.Reload(t.Context())
	if !errors.Is(err, control.ErrReload) || !errors.Is(err, control.ErrNotRunning) || strings.Contains(err.Error(), socket) {
		t.Errorf("%v, want ErrReload and ErrNotRunning, without the socket", err)
	}
}

// A reload may take long, but not longer than the service says where it stands.
func TestReloadOfUnresponsive(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	client := serve(t, control.Service{
		Reload: func(ctx context.Context, _ bool) (handover.Outcome, error) { return handover.Outcome{}, hang(ctx) },
		Status: func(ctx context.Context) (any, error) { return nil, hang(ctx) },
	})
	client.Patience = control.Patience{Answer: 50 * time.Millisecond, Probe: time.Millisecond}
	for what, err := range map[string]error{
		"reload":  second(client.Reload(t.Context())),
		"dry run": second(client.DryRun(t.Context())),
		"status":  client.Status(t.Context(), new(status)),
	} {
		if !errors.Is(err, control.ErrUnresponsive) || !strings.Contains(err.Error(), "does not answer within 50ms") {
			t.Errorf("%s: %v, want ErrUnresponsive and the limit", what, err)
		}
	}
}

func second(_ handover.Outcome, err error) error { return err }

// TestFullQueue asks a service that does not even hear, for all that came
// before.
func TestFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if nc, err := net.Dial("unix", path); err == nil {
			defer nc.Close()
		}
	}
	client := &control.Client{Name: "daemon", Socket: path, Patience: control.Patience{Answer: 50 * time.Millisecond, Probe: time.Millisecond}}
	for what, err := range map[string]error{
		"reload": second(client.Reload(t.Context())),
		"status": client.Status(t.Context(), new(status)),
	} {
		if !errors.Is(err, control.ErrUnresponsive) {
			t.Errorf("%s: %v, want ErrUnresponsive", what, err)
		}
	}
}

// TestNothingThere: a directory that does not exist is not said to belong to
// another user.
func TestNothingThere(t *testing.T) {
	for _, name := range []string{"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, "")
	}
	t.Setenv("TMPDIR", t.TempDir())
	client := &control.Client{Name: "no-such-daemon"}
	err := client.Status(t.Context(), new(status))
	if !errors.Is(err, control.ErrNotRunning) || strings.Contains(err.Error(), "not this user's own") || !strings.Contains(err.Error(), os.TempDir()) {
		t.Errorf("%v, want ErrNotRunning and the place in %s", err, os.TempDir())
	}
}

// A socket that was given is the only one that is tried.
func TestNotRunning(t *testing.T) {
	client := &control.Client{Name: "daemon", Socket: filepath.Join(t.TempDir(), "control")}
	err := client.Status(t.Context(), new(status))
	if !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), "no answer on "+client.Socket) {
		t.Errorf("%v, want ErrNotRunning and the path", err)
	}
}
