package conntrack_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// A memberConn is a connection in memory that says what was asked of it.
type memberConn struct {
	conntrack.Info
	released, restored chan struct{}
}

func (c *memberConn) Release()     { c.released <- struct{}{} }
func (c *memberConn) Restore(bool) { c.restored <- struct{}{} }

// newMember adds a connection of e.
func newMember(t *testing.T, e *conntrack.Endpoint) *memberConn {
	t.Helper()
	raw, client := net.Pipe()
	t.Cleanup(func() { _, _ = raw.Close(), client.Close() })
	c := &memberConn{released: make(chan struct{}, 10), restored: make(chan struct{}, 10)}
	c.Raw, c.Endpoint = raw, e
	e.Registry.Add(c)
	return c
}

func newRegistry(t *testing.T, host conntrack.Config) *conntrack.Registry {
	t.Helper()
	r := conntrack.New(host)
	t.Cleanup(r.Stop)
	return r
}

// TestRegistryEmpty counts connections, of which those of the control socket
// are nobody's to wait for.
func TestRegistryEmpty(t *testing.T) {
	r := newRegistry(t, conntrack.Config{})
	control := &conntrack.Endpoint{Registry: r, Control: true}
	streams := &conntrack.Endpoint{Registry: r, Kind: conntrack.Streams}
	others := &conntrack.Endpoint{Registry: r, Kind: conntrack.Others}
	newMember(t, control)
	first, second := newMember(t, streams), newMember(t, others)
	if got, want := r.Count(), (conntrack.Counts{Streams: 1, Others: 1}); got != want || r.Len() != 3 || r.IsQuiet() {
		t.Errorf("counted %+v of %d, want %+v of 3", got, r.Len(), want)
	}
	if err := conntrack.Close(first); err != nil {
		t.Error(err)
	}
	if _, err := first.Raw.Write([]byte("x")); err == nil {
		t.Error("Close has not closed the connection")
	}
	select {
	case <-r.Empty():
		t.Error("it is empty before it is")
	default:
	}
	r.Remove(second)
	r.Remove(second)
	select {
	case <-r.Empty():
	default:
		t.Error("it does not say that it is empty")
	}
	if !r.IsQuiet() || r.Len() != 1 {
		t.Errorf("%d connections, want one, of the control socket", r.Len())
	}
}

// TestComesBack has a Sink give connections back.
func TestComesBack(t *testing.T) {
	tests := map[string]struct {
		give  func(*conntrack.Registry, []conntrack.Conn)
		late  bool
		phase conntrack.Phase
	}{
		"for good":          {(*conntrack.Registry).TakeBack, false, conntrack.Lingering},
		"for now":           {(*conntrack.Registry).ServeMeanwhile, false, conntrack.Serving},
		"for now, but late": {(*conntrack.Registry).ServeMeanwhile, true, conntrack.Lingering},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, conntrack.Config{Linger: time.Hour})
			e := &conntrack.Endpoint{Registry: r, Movable: true}
			e.SetPhase(conntrack.Moving)
			if test.late {
				r.BeLate()
			}
			c := newMember(t, e)
			test.give(r, []conntrack.Conn{c})
			<-c.restored
			if e.Phase() != test.phase || r.Len() != 0 {
				t.Errorf("phase %d, %d connections, want phase %d and none until it is accepted again", e.Phase(), r.Len(), test.phase)
			}
		})
	}
}

// TestLinger releases what is at rest when the last linger is over.
func TestLinger(t *testing.T) {
	r := newRegistry(t, conntrack.Config{Linger: time.Millisecond})
	c := newMember(t, &conntrack.Endpoint{Registry: r})
	r.Linger()
	r.Linger()
	<-c.released
}

// TestQueue accepts what was pushed, in order, until it is closed.
func TestQueue(t *testing.T) {
	q := conntrack.NewMovedListener(&net.TCPAddr{Port: 1})
	first, second := net.Pipe()
	defer first.Close()
	defer second.Close()
	q.Push(first)
	q.Push(second)
	for _, want := range []net.Conn{first, second} {
		if got, err := q.Accept(); got != want || err != nil {
			t.Errorf("accepted %v, %v", got, err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := q.Accept()
		ended <- err
	}()
	_ = q.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

// A taker is a Sink.
type taker struct {
	serves bool
	passed []conntrack.Conn
}

func (s *taker) Serves(*conntrack.Endpoint) bool { return s.serves }
func (s *taker) Pass(c conntrack.Conn)           { s.passed = append(s.passed, c) }
func (s *taker) IsFull() bool                    { return false }

// TestSpent takes back connections whose session was exported. One whose state
// was not sent goes to another Sink or is served here; and one whose state was
// sent is closed, by what does not wait for that.
func TestSpent(t *testing.T) {
	for name, test := range map[string]struct {
		sent, serves, keep bool
		passed, restored   int
	}{
		"to another sink": {serves: true, passed: 1},
		"no other sink":   {restored: 1},
		"until later":     {serves: true, keep: true, restored: 1},
		"sent":            {sent: true, serves: true},
		"sent, for later": {sent: true, serves: true, keep: true},
	} {
		t.Run(name, func(t *testing.T) {
			var closed []io.Closer
			r := newRegistry(t, conntrack.Config{Close: func(c io.Closer) { closed = append(closed, c) }})
			sink := &taker{serves: test.serves}
			r.LeaveTo(sink)
			c := newMember(t, &conntrack.Endpoint{Registry: r, Kind: conntrack.HTTPS})
			state := []byte("secret")
			c.Spend(state)
			if test.sent {
				conntrack.Forget(c)
			}
			takeBack := r.TakeBack
			if test.keep {
				takeBack = r.ServeMeanwhile
			}
			takeBack([]conntrack.Conn{c})
			if len(sink.passed) != test.passed || len(c.restored) != test.restored {
				t.Errorf("%d passed, %d served here", len(sink.passed), len(c.restored))
			}
			if err := c.Raw.SetDeadline(time.Time{}); err != nil {
				t.Errorf("it was closed while the loop waits: %v", err)
			}
			if test.sent != slices.Equal(closed, []io.Closer{c.Raw}) || r.Len() != test.passed {
				t.Errorf("closed %v, %d connections left", closed, r.Len())
			}
			if cleared := string(state) != "secret"; cleared != test.sent {
				t.Errorf("state %q", state)
			}
			if s := r.Sessions(); (s.Lost == 1) != test.sent || (s.Left == 1) != test.sent {
				t.Errorf("sessions %+v", s)
			}
		})
	}
}
