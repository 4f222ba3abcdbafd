package lifecycle_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestStreamStop stops the service: there is nobody to hand over to, and the
// handler can say so.
func TestStreamStop(t *testing.T) {
	for _, replace := range []string{"beside", "in-place"} {
		d := startEcho(t, "tcp", "HEIRLOOM_TEST_REPLACE="+replace)
		c := d.dial()
		c.say("hand over\n")
		c.expect("no successor")
		c.sayHalf("half")
		d.signal(syscall.SIGTERM)
		c.expect(`1 no successor, with "half"`)
		c.closed()
		if err := d.awaitExit(); err != nil {
			t.Error(err)
		}
	}
}

// TestStreamNotServed reloads into a program that does not serve streams there
// any more.
func TestStreamNotServed(t *testing.T) {
	for _, mode := range []string{"http", "none"} {
		t.Run(mode, func(t *testing.T) {
			d := startEcho(t, "tcp", "HEIRLOOM_TEST_REPLACE=beside")
			c := d.dial()
			c.sayHalf("half")
			d.write("mode", mode)
			d.reload()
			c.expect(`1 no successor, with "half"`)
			c.closed()
			d.awaitAlone()
		})
		t.Run(mode+"-in-place", func(t *testing.T) {
			d := startEcho(t, "tcp", "HEIRLOOM_TEST_REPLACE=in-place")
			c := d.dial()
			c.sayHalf("half")
			d.write("mode", mode)
			d.reload()
			c.closed() // it was handed over before anybody could know
		})
	}
}

// TestStreamTLS has streams that cannot move.
func TestStreamTLS(t *testing.T) {
	for _, replace := range []string{"beside", "in-place"} {
		d := startEcho(t, "tcp", "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_REPLACE="+replace)
		c := d.dialStreamTLS()
		c.say("hand over\n")
		c.expect("unsupported")
		c.sayHalf("half")
		d.reload()
		c.expect(`1 unsupported, with "half"`)
		c.closed()
		fresh := d.dialStreamTLS()
		fresh.say("hello\n")
		fresh.expect("2 hello")
		if !strings.Contains(d.logged(), "the listener was wrapped: its connections do not move: name=echo type=\"*tls.listener\"") {
			t.Error("the log does not say that connections do not move")
		}
	}
}

func (d *local) dialStreamTLS() *client {
	d.t.Helper()
	nc, err := tls.Dial(d.network, d.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	return &client{d.t, nc, bufio.NewReader(nc)}
}

// TestStreamPanic has a handler panic: its connection is closed, and nothing
// else happens.
func TestStreamPanic(t *testing.T) {
	d := startEcho(t, "tcp")
	other, c := d.dial(), d.dial()
	other.sayHalf("half")
	c.say("panic\n")
	c.closed()
	other.say("\n")
	other.expect("1 half")
	d.reload()
	d.awaitAlone()
	other.say("hello\n")
	other.expect("2 hello")
	if !strings.Contains(d.logged(), "panic of a stream's handler") || !strings.Contains(d.logged(), "told to") {
		t.Errorf("the log does not speak of the panic:\n%s", d.logged())
	}
}

// TestStreamNeverLeaves has a handler that does not heed that its connection is
// to leave.
func TestStreamNeverLeaves(t *testing.T) {
	t.Run("stop", func(t *testing.T) {
		d := startEcho(t, "tcp", "HEIRLOOM_TEST_DRAIN="+span(500*time.Millisecond))
		c := d.dial()
		c.say("one\nnever leave\n")
		c.expect("1 one")
		d.signal(syscall.SIGTERM)
		c.closed()
		checkDrainTimeout(t, d)
	})
	replacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace, "HEIRLOOM_TEST_DRAIN="+span(3*time.Second)) // within which the other one leaves
		c, other := d.dial(), d.dial()
		c.say("one\nnever leave\n")
		c.expect("1 one")
		other.sayHalf("half")
		d.reload()
		d.eventually("the other connection to be handed over", func() bool { return strings.Contains(d.logged(), "handed a stream over") })
		other.say("\n")
		other.expect("2 half")
		c.closed()
		if strings.HasSuffix(replace, "beside") {
			checkDrainTimeout(t, d)
		}
		d.awaitAlone()
	})
}

// TestStreamWriteTimesOut has a client that never reads hold up a Write, and
// with it HandOver, until the drain times out.
func TestStreamWriteTimesOut(t *testing.T) {
	replacements(t, func(t *testing.T, network, replace string) {
		d := startEcho(t, network, replace, "HEIRLOOM_TEST_DRAIN="+span(500*time.Millisecond))
		c := d.dial()
		c.say("flood\none\n")
		if _, err := io.ReadFull(c.reader, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		d.reload()
		d.awaitAlone()
		_ = c.SetReadDeadline(patience.Deadline(30 * time.Second))
		if n, err := io.Copy(io.Discard, c.reader); err != nil && !isEndOfConnection(err) || n >= int64(len(flood())) {
			t.Errorf("read %d bytes, %v, want the connection to end before all was written", n, err)
		}
		fresh := d.dial()
		fresh.say("hello\n")
		fresh.expect("2 hello")
		d.awaitAlone()
	})
}

// TestStreamComesBack kills the successor when it has been sent a connection
// and has not taken it. A session of TLS is served here again as well: its state
// was not sent before there was room.
func TestStreamComesBack(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "tls"} {
		t.Run(network, func(t *testing.T) {
			d := startEcho(t, network, "HEIRLOOM_TEST_REPLACE=beside")
			c := d.dial()
			c.sayHalf("half")
			c.say("\nleave late\nstate")
			c.expect("1 half")
			d.write("freeze", "2 serving")
			first := d.status().PID
			d.reload()
			successors := slices.DeleteFunc(d.processes(), func(pid int) bool { return pid == first })
			if len(successors) != 1 {
				t.Fatalf("successors %v, want one", successors)
			}
			successor := successors[0]
			d.eventually("the successor to stand still", func() bool {
				stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", successor))
				return strings.Contains(string(stat), ") T ")
			})
			d.write("late", "")
			d.eventually("the connection to be handed over", func() bool { return strings.Contains(d.logged(), "handed a stream over") })
			if err := syscall.Kill(successor, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			c.expect(`1 no successor, with "state"`)
			c.closed()
			if err := d.awaitExit(); err == nil { // the service did not go on
				t.Error("the exit status is 0")
			}
		})
	}
}

// TestStreamErrors calls what may not be called.
func TestStreamErrors(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	service, err := lifecycle.New(lifecycle.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := service.Listen("test", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := service.ServeStreams(listener, func(*lifecycle.Stream) {}); err != nil {
		t.Fatal(err)
	}
	for _, config := range []*tls.Config{nil, {}} {
		if err := service.ServeStreamsTLS(listener, config, func(*lifecycle.Stream) {}); !errors.Is(err, lifecycle.ErrNoCertificate) {
			t.Errorf("ServeStreamsTLS: %v, want ErrNoCertificate", err)
		}
	}
	ctx, cancel := context.WithCancel(background)
	cancel()
	if err := service.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := service.ServeStreams(listener, func(*lifecycle.Stream) {}); !errors.Is(err, lifecycle.ErrRunning) {
		t.Errorf("ServeStreams after Run: %v, want ErrRunning", err)
	}
}
