package successor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/successor"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// config is that of a successor which does as role says. It inherits a file.
func config(t *testing.T, role string) successor.Config {
	t.Helper()
	t.Setenv("HEIRLOOM_TEST_ROLE", role)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	fd, err := fdutil.Duplicate(null)
	if err != nil {
		t.Fatal(err)
	}
	c := successor.Config{
		Program: os.Args[0],
		Args:    os.Args[:1],
		Hello:   handover.Message{Type: handover.Hello},
		Files:   []int{fd},
		Names:   []string{"null"},
		States: []func(transfer.SendFunc) error{func(send transfer.SendFunc) error {
			return send(handover.Message{Type: handover.State}, 0)
		}},
		Owner:  conntrack.New(conntrack.Config{}),
		AtStep: func(string) {},
		Log:    hclog.NewNullLogger(),
	}
	c.Hello.Protocol, c.Hello.Generation = handover.Protocol, 1
	t.Cleanup(func() {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Errorf("the file that it was given is open here: %v", err)
		}
	})
	return c
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience.Of(time.Minute))
	t.Cleanup(cancel)
	return ctx
}

// TestStart has a successor serve, take a connection, answer, and go.
func TestStart(t *testing.T) {
	c := config(t, "serves")
	var steps []string
	c.AtStep = func(step string) { steps = append(steps, step) }
	s, err := successor.Start(limit(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, " "); got != "started ready go" || s.Generation != 2 || s.PID == os.Getpid() {
		t.Errorf("steps %q of generation %d", got, s.Generation)
	}
	types, over := make(chan handover.Type, 10), make(chan struct{})
	go func() {
		defer close(over)
		s.Listen(func(m handover.Message, err error) bool {
			if err == nil {
				types <- m.Type
			}
			return true
		})
	}()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		s.Conns.Run()
	}()
	registry := c.Owner.(*conntrack.Registry)
	pass(t, s, registry)
	if err := s.Post(handover.Message{Type: handover.Stop}); err != nil {
		t.Error(err)
	}
	if got := <-types; got != handover.Reloaded {
		t.Errorf("delivered %s, want the answer", got)
	}
	if n := registry.Len(); n != 0 { // it was acknowledged before
		t.Errorf("%d connections are open here", n)
	}
	s.Quit()
	<-over
	<-ran
}

// A resting is a connection at rest.
type resting struct{ conntrack.Info }

func (*resting) Release()     {}
func (*resting) Restore(bool) {}

// pass passes a connection, and waits until it is sent.
func pass(t *testing.T, s *successor.Successor, registry *conntrack.Registry) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	e := &conntrack.Endpoint{Registry: registry, Listener: l, Name: "web", Movable: true}
	if !s.Conns.Serves(e) {
		t.Error("the successor does not serve the listener")
	}
	r := &resting{conntrack.Info{Raw: nc, Endpoint: e}}
	registry.Add(r)
	s.Conns.Pass(r)
	s.Conns.SendRest()
}

// TestStartFails starts what does not come to serve.
func TestStartFails(t *testing.T) {
	for role, want := range map[string]string{
		"fails":        "no configuration",
		"dies":         "ended before it was ready: exit status 1",
		"dies late":    "ended before it was ready: exit status 1",
		"is too old":   "handover protocol",
		"says nothing": "not a heirloom program",
	} {
		t.Run(role, func(t *testing.T) {
			s, err := successor.Start(limit(t), config(t, role))
			if s != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the reason is not fit to be shown: %q", err)
			}
		})
	}
}

// TestStartTooLong has successors hang before they are ready and after.
func TestStartTooLong(t *testing.T) {
	for role, at := range map[string]string{"hangs": "started", "hangs late": "go"} {
		t.Run(role, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			late := errors.New("that took too long")
			c := config(t, role)
			c.AtStep = func(step string) {
				if step == at {
					cancel(late)
				}
			}
			if s, err := successor.Start(ctx, c); s != nil || !errors.Is(err, late) {
				t.Errorf("%v, want the cause of the context", err)
			}
		})
	}
}

// TestStartLacks has no room here for what the successor is to be handed, which
// waits for it. The reason is told at once, and the successor ended.
func TestStartLacks(t *testing.T) {
	c := config(t, "serves")
	var held [2]int
	if err := unix.Pipe2(held[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	c.Files, c.Names = append(c.Files, held[1]), append(c.Names, "held")
	c.States = []func(transfer.SendFunc) error{func(send transfer.SendFunc) error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
			return err
		}
		inMemfd := handover.Message{Type: handover.State}
		inMemfd.States = [][]byte{make([]byte, 1<<20)}
		return send(inMemfd, 0)
	}}
	ctx, cancel := context.WithCancelCause(t.Context())
	c.AtStep = func(step string) { cancel(errors.New("the successor is waited for")) }
	s, err := successor.Start(ctx, c)
	if s != nil || !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "RLIMIT_NOFILE") {
		t.Errorf("%v, want EMFILE, explained", err)
	}
	alive := os.NewFile(uintptr(held[0]), "pipe")
	defer alive.Close()
	if n, err := alive.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the successor has not ended: %v", err)
	}
}

// TestNoProgram starts what is not there.
func TestNoProgram(t *testing.T) {
	c := config(t, "")
	c.Program = t.TempDir() + "/none"
	if s, err := successor.Start(limit(t), c); s != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
}

// TestDryRun kills a successor that is ready.
func TestDryRun(t *testing.T) {
	c := config(t, "serves")
	c.Hello.DryRun = true
	c.AtStep = func(step string) {
		if step == "go" {
			t.Error("it may accept connections")
		}
	}
	if s, err := successor.Start(limit(t), c); s != nil || err != nil {
		t.Errorf("%v, %v, want nothing", s, err)
	}
}

// TestDismiss tells a successor to stop that nobody waits for.
func TestDismiss(t *testing.T) {
	ours, end, err := handover.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := handover.FromDescriptor(end)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	successor.New(ours, handover.Message{}, conntrack.New(conntrack.Config{}), hclog.NewNullLogger()).Dismiss()
	if m, _, err := theirs.Receive(); err != nil || m.Type != handover.Stop {
		t.Errorf("received %+v, %v", m, err)
	}
	if _, _, err := theirs.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the end", err)
	}
}
