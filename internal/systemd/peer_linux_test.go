package systemd_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

const (
	ok    = "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n"
	unit  = "hello.service"
	hello = "Hello"
	list  = "ListUnitsByNames"
)

// TestAnswers has a peer that greets as systemd does, and answers what a real
// one never would.
func TestAnswers(t *testing.T) {
	unknown := dbus.Error{Name: "org.freedesktop.DBus.Error.UnknownProperty"}
	tests := []struct {
		name    string
		answers map[string]any // by the method, or the property
		want    bool
		err     string
	}{
		{name: "stop", answers: map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": "restart"}, want: true},
		{name: "stop and keep nothing", answers: map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": "no"}, want: true},
		{name: "stop and keep", answers: map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": "yes"}},
		{name: "stop of an old systemd", answers: map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": unknown}, want: true},
		{name: "no job", answers: map[string]any{"Id": unit, list: units("")}},
		{name: "restart", answers: map[string]any{"Id": unit, list: units("restart")}},
		{name: "start", answers: map[string]any{"Id": unit, list: units("start")}},
		{name: "no unit", answers: map[string]any{"Id": dbus.Error{Name: "org.freedesktop.systemd1.NoUnitForPID", Body: []any{"none"}}}, err: "none"},
		{name: "refused", answers: map[string]any{"Id": unit, list: dbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}}, err: "AccessDenied"},
		{name: "keeping is secret", answers: map[string]any{"Id": unit, list: units("stop"),
			"FileDescriptorStorePreserve": dbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}}, err: "AccessDenied"},
		{name: "number for a name", answers: map[string]any{"Id": uint32(7)}, err: "Id: "},
		{name: "text for a list", answers: map[string]any{"Id": unit, list: "stop"}, err: list},
		{name: "empty list", answers: map[string]any{"Id": unit, list: units()}, err: "0 units"},
		{name: "long list", answers: map[string]any{"Id": unit, list: units("stop", "stop")}, err: "2 units"},
		{name: "number for keeping", answers: map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": uint32(0)}, err: "Preserve: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			peer(t, "systemd/private", func(c net.Conn) { serve(c, test.answers) })
			ends, err := systemd.Ending(t.Context())
			if ends != test.want {
				t.Errorf("ends: %v, want %v", ends, test.want)
			}
			checkUnanswered(t, err, test.err)
		})
	}
}

// TestBus goes by the bus when the manager's own socket is missing, and has to
// say Hello there.
func TestBus(t *testing.T) {
	leakcheck.Check(t)
	peer(t, "bus", func(c net.Conn) {
		serve(c, map[string]any{hello: ":1.7", "Id": unit, list: units("stop"), "FileDescriptorStorePreserve": "restart"})
	})
	if ends, err := systemd.Ending(t.Context()); !ends || err != nil {
		t.Errorf("ends: %v, error %v", ends, err)
	}
}

// TestGreeting has peers that are none.
func TestGreeting(t *testing.T) {
	tests := []struct{ name, says, err string }{
		{"nothing", "", "EOF"},
		{"refusal", "REJECTED EXTERNAL\r\n", "REJECTED EXTERNAL"},
		{"refusal after data", "DATA\r\nREJECTED\r\n", "REJECTED"},
		{"half", "DATA\r\nOK 01", "EOF"},
		{"no end of the line", strings.Repeat("x", 5000), "buffer full"},
		{"other protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1"},
		{"half a message", ok + "l\x02\x01", "EOF"},
		{"no message", ok + "l and then more than there will be", "message of"},
		{"other byte order", ok + "x" + strings.Repeat("\x00", 15), "byte order"},
		{"huge message", ok + "l\x02\x01\x01\x00\x00\x00\x07" + strings.Repeat("\x00", 8), "message of 117440528 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			peer(t, "systemd/private", func(c net.Conn) { say(c, test.says) })
			ends, err := systemd.Ending(t.Context())
			if ends {
				t.Error("ends")
			}
			checkUnanswered(t, err, test.err)
		})
	}
}

// TestSilence has peers that stop answering, at each step. The wait ends with
// ctx, and not before.
func TestSilence(t *testing.T) {
	tests := []struct {
		name string
		play func(net.Conn)
	}{
		{"from the start", func(net.Conn) {}},
		{"after data", func(c net.Conn) { say(c, "DATA\r\n") }},
		{"after the greeting", func(c net.Conn) { say(c, ok) }},
		{"after a call", func(c net.Conn) { serve(c, map[string]any{"Id": unit}) }},
		{"after signals", func(c net.Conn) {
			say(c, ok)
			for range 100 {
				send(c, &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
					dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
					dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
					dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
				}})
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			played := make(chan struct{})
			peer(t, "systemd/private", func(c net.Conn) {
				test.play(c)
				close(played)
				_, _ = io.Copy(io.Discard, c)
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() {
				_, err := systemd.Ending(ctx)
				result <- err
			}()
			<-played
			select {
			case err := <-result:
				t.Fatalf("returned before ctx was done: %v", err)
			default:
			}
			cancel()
			err := <-result
			checkUnanswered(t, err, "private: context canceled")
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want context.Canceled", err)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	leakcheck.Check(t)
	peer(t, "systemd/private", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := systemd.Ending(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, systemd.ErrUnanswered) {
		t.Errorf("error %v, want context.DeadlineExceeded and ErrUnanswered", err)
	}
}

// TestLongContext asks with a context that outlives the answer, and is rid of
// Ending by then.
func TestLongContext(t *testing.T) {
	leakcheck.Check(t)
	peer(t, "systemd/private", func(c net.Conn) { serve(c, map[string]any{"Id": unit, list: units("restart")}) })
	ctx := &counting{Context: t.Context(), done: make(chan struct{})}
	if _, err := systemd.Ending(ctx); err != nil {
		t.Fatal(err)
	}
	if started, stopped := ctx.started.Load(), ctx.stopped.Load(); started == 0 || stopped != started {
		t.Errorf("%d functions wait for the end of the context, %d were taken back", started, stopped)
	}
}

// counting counts what context.AfterFunc registers, for which it must not look
// like a context of the standard library.
type counting struct {
	context.Context
	done             chan struct{}
	started, stopped atomic.Int32
}

func (c *counting) Done() <-chan struct{} { return c.done }

func (c *counting) AfterFunc(f func()) func() bool {
	c.started.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.stopped.Add(1)
		return stop()
	}
}

// TestFullQueue connects to a listener that accepts nobody, whose queue is
// full.
func TestFullQueue(t *testing.T) {
	leakcheck.Check(t)
	ln := listen(t, "systemd/private")
	for {
		conn, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			break
		}
		defer conn.Close()
	}
	_, err := systemd.Ending(t.Context())
	checkUnanswered(t, err, "temporarily unavailable")
}

func TestNobodyThere(t *testing.T) {
	leakcheck.Check(t)
	t.Setenv("MANAGERPID", "1")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	_, err := systemd.Ending(t.Context())
	checkUnanswered(t, err, "private")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	_, err = systemd.Ending(t.Context())
	checkUnanswered(t, err, "$XDG_RUNTIME_DIR")
	t.Setenv("INVOCATION_ID", "1")
	_, err = systemd.StopTimeout(t.Context())
	checkUnanswered(t, err, "$XDG_RUNTIME_DIR")
}

// FuzzPeer has a peer say anything for a greeting, or for the head of a
// message. What follows a head is godbus's.
func FuzzPeer(f *testing.F) {
	f.Add(false, []byte(ok))
	f.Add(true, []byte("l\x02\x01\x01\x10\x00\x00\x00\x01\x00\x00\x00\x20\x00\x00\x00"))
	f.Add(true, []byte("B\x02\x01\x01\xff\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, greeted bool, says []byte) {
		if greeted {
			says = append([]byte(ok), says[:min(len(says), 16)]...)
		}
		peer(t, "systemd/private", func(c net.Conn) { say(c, string(says)) })
		if ends, err := systemd.Ending(t.Context()); ends || !errors.Is(err, systemd.ErrUnanswered) {
			t.Errorf("ends %v, error %v", ends, err)
		}
	})
}

func checkUnanswered(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("error %v", err)
	case says != "" && (!errors.Is(err, systemd.ErrUnanswered) || !strings.Contains(err.Error(), says)):
		t.Errorf("error %v, want ErrUnanswered that says %q", err, says)
	}
}
