package streams

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestCannotMove has sessions that stay, and say goodbye.
func TestCannotMove(t *testing.T) {
	for name, test := range map[string]struct {
		version uint16
		ends    bool // the client says so
		want    error
	}{
		"TLS 1.2":      {version: tls.VersionTLS12, want: errors.ErrUnsupported},
		"close_notify": {ends: true, want: io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "tcp", selfSigned())
			p, read := w.now, make(chan struct{})
			p.server.Handler = func(c *Conn) {
				_, err := io.ReadFull(c, make([]byte, 5))
				if test.ends && err == nil {
					_, err = io.ReadAll(c)
				}
				if err != nil {
					t.Error(err)
				}
				close(read)
				<-c.Draining()
				err = c.HandOver(nil)
				fmt.Fprint(c, "goodbye\n")
				p.errs <- err
			}
			c := w.dial(&tls.Config{MaxVersion: test.version})
			c.say("hello")
			if test.ends {
				if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			<-read
			w.replace()
			if err := p.handedOver(); !errors.Is(err, test.want) {
				t.Errorf("HandOver: %v, want %v", err, test.want)
			}
			c.expect("goodbye")
			c.expectEnd(nil)
		})
	}
}

// TestFull has no room in the next process: the handler is called again in this
// one, and the connection moves later.
func TestFull(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\nha")
	c.expect("1 hello")
	w.full.Store(true)
	first := w.replace()
	if err := first.handedOver(); err != nil {
		t.Fatal(err)
	}
	c.say("lf\nha")
	c.expect("1 half")
	w.full.Store(false)
	first.server.SetPhase(conntrack.Moving)
	first.conns.ReleaseAtRest()
	if err := first.handedOver(); err != nil {
		t.Fatal(err)
	}
	c.say("lf\n")
	c.expect("2 half")
}

// TestFullLate has no room in the next process, and not much time left: the
// handler is told so, once, and says goodbye.
func TestFullLate(t *testing.T) {
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": selfSigned()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "tcp", config)
			c := w.dial(nil)
			c.say("hello\n")
			c.expect("1 hello")
			w.full.Store(true)
			w.now.conns.LateIn(0)
			w.now.await("it to be late", w.now.conns.IsLate)
			if err := w.replace().handedOver(); !errors.Is(err, ErrNoSuccessor) {
				t.Errorf("HandOver: %v, want %v", err, ErrNoSuccessor)
			}
			c.expect("1 goodbye")
			c.expectEnd(nil)
		})
	}
}

// TestLost has the next process die when it was sent the state of a session:
// nobody writes under its keys any more, and its client sees the end.
func TestLost(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	w.now.server.Handler = func(c *Conn) { t.Error("served again") }
	before := w.die(true)
	c.expectEnd(nil)
	before.await("it to be closed", func() bool { return before.conns.Len() == 0 })
	if n := before.conns.Sessions(); n.Lost != 1 || n.Left != 1 {
		t.Errorf("counted %+v", n)
	}
}

// TestUnsent has the next process die before it was sent the state: the session
// goes on here.
func TestUnsent(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	before := w.die(false)
	c.expect("1 goodbye")
	c.expectEnd(nil)
	if n := before.conns.Sessions(); n.Lost+n.Left+n.Arrived != 0 {
		t.Errorf("counted %+v", n)
	}
}

// die has the connection passed to a process that dies, perhaps when it was
// sent the state.
func (w *world) die(sent bool) *process {
	return w.replaceBy(func(sink conntrack.Sink) conntrack.Sink { return dying{sink, w, sent} })
}

// A dying process dies when something is passed to it.
type dying struct {
	conntrack.Sink
	w    *world
	sent bool
}

func (d dying) Pass(c conntrack.Conn) {
	if d.sent {
		conntrack.Forget(c)
	}
	d.w.lost.Store(true)
	d.Sink.Pass(c)
}

// TestRefused has the next process not accept a session.
func TestRefused(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	w.adopting = selfSigned()
	w.adopting.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not any more") }
	if err := w.replace().handedOver(); err != nil {
		t.Error(err)
	}
	c.expectEnd(nil)
	w.now.await("the connection to go", func() bool { return w.now.conns.Len() == 0 })
	if stayed := w.now.conns.Sessions().Stayed; stayed["refused"] != 1 {
		t.Errorf("counted %v", stayed)
	}
}

// TestBadParcel has what arrives make no sense.
func TestBadParcel(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	if err := w.replace().handedOver(); err != nil {
		t.Fatal(err)
	}
	c.say("hello\n")
	c.expect("2 hello")
	near, err := net.Dial("tcp", w.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"", "nonsense", "\x81", "\x81\x01", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x81\x00\x00"} {
		w.now.server.welcome(near, []byte(left))
		w.now.await("it to be closed", func() bool { return w.now.conns.Len() == 1 })
	}
}

// TestPanic has a callback panic, in a handshake and in an adoption.
func TestPanic(t *testing.T) {
	config := selfSigned()
	w := newWorld(t, "tcp", config)
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	bad := selfSigned()
	bad.VerifyConnection = func(tls.ConnectionState) error { panic("a callback") }
	w.adopting = bad
	if err := w.replace().handedOver(); err != nil {
		t.Error(err)
	}
	if _, err := c.lines.ReadString('\n'); err == nil {
		t.Error("the session goes on")
	}
	w.now.await("the connection to go", func() bool { return w.now.conns.Len() == 0 })
}

// TestSlowHandshake drains while clients have not completed their handshakes:
// they have a while to do so, and are not counted as work.
func TestSlowHandshake(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	slow, silent := w.dial(nil), w.dial(nil)
	slow.holdAfter(10)
	go func() { _ = slow.Conn.(*tls.Conn).Handshake() }()
	p := w.now
	p.await("both", func() bool { return p.conns.Count().New == 2 })
	p.server.Handler = func(c *Conn) { fmt.Fprint(c, "served\n") }
	w.replace()
	if work, waiting := p.conns.Remains(); work.Streams != 0 || waiting.Requests != 2 {
		t.Errorf("work %+v, waiting %+v", work, waiting)
	}
	slow.release()
	slow.expect("served")
	_ = silent.Close()
}

// TestSilentHandshake drains while a client does not begin its handshake, for
// longer than it has.
func TestSilentHandshake(t *testing.T) {
	impatient(t)
	w := newWorld(t, "tcp", selfSigned())
	silent, p := w.dial(nil), w.now
	p.await("it", func() bool { return p.conns.Count().New == 1 })
	w.replace()
	_ = silent.valve.SetReadDeadline(patience.Deadline(limit))
	if n, err := silent.valve.Read(make([]byte, 100)); err == nil {
		t.Errorf("the silent client is told %d bytes", n)
	}
	p.await("the silent one to go", func() bool { return p.conns.Len() == 0 })
}

// TestCloseWhileHandingOver closes a connection whose HandOver waits for half a
// record.
func TestCloseWhileHandingOver(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	p := w.now
	before := partPatience
	partPatience = patience.Of(10 * time.Minute)
	defer func() { partPatience = before }()
	p.server.Handler = func(c *Conn) {
		_, _ = c.Read(make([]byte, 5))
		ended := make(chan error, 1)
		_, _ = c.Read(make([]byte, 5))
		go func() { ended <- c.HandOver(nil) }()
		for c.reading.TryLock() {
			c.reading.Unlock()
		}
		_ = c.Close()
		p.errs <- <-ended
	}
	c := w.dial(nil)
	c.say("hello")
	p.await("the handler", func() bool { return p.conns.Count().Streams == 1 })
	c.holdAfter(50)
	c.say(strings.Repeat("x", 99) + "\n")
	p.awaitTaken(c.valve)
	w.replace()
	if err := p.handedOver(); err == nil {
		t.Error("handed over")
	}
}
