package streams

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// kinds runs test for plain streams and for those over TLS.
func kinds(t *testing.T, test func(t *testing.T, network string, config *tls.Config)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { test(t, network, nil) })
		t.Run(network+"-tls", func(t *testing.T) { test(t, network, selfSigned()) })
	}
}

// TestHandOver hands connections over three times: with half a line in the
// handler, with none, and before the client has said anything.
func TestHandOver(t *testing.T) {
	kinds(t, func(t *testing.T, network string, config *tls.Config) {
		w := newWorld(t, network, config)
		silent, half, idle := w.dial(nil), w.dial(nil), w.dial(nil)
		idle.say("hello\n")
		idle.expect("1 hello")
		if config != nil { // else the handshake waits for it
			silent.say("s")
		}
		half.say("hello\nha")
		half.expect("1 hello")
		w.now.await("the clients", func() bool { return w.now.conns.Count().Streams == 3 })
		for number := 2; number <= 4; number++ {
			before := w.replace()
			for range 3 {
				if err := before.handedOver(); err != nil {
					t.Fatal(err)
				}
			}
			idle.say("hello\n")
			idle.expect(fmt.Sprintf("%d hello", number))
		}
		half.say("lf\n")
		half.expect("4 half")
		silent.say("\n")
		if config != nil {
			silent.expect("4 s")
		} else {
			silent.expect("4 ")
		}
	})
}

// TestHandOverUnread hands over a session whose record the handler has read a
// part of: the rest was decrypted and moves. So do records that came behind it.
func TestHandOverUnread(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	took := make(chan struct{})
	first := w.now
	first.server.Handler = func(c *Conn) {
		if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
			t.Error(err)
		}
		close(took)
		<-c.Draining()
		first.errs <- nil
		if err := c.HandOver([]byte("state ")); err != nil {
			t.Error(err)
		}
		for _, use := range []func([]byte) (int, error){c.Read, c.Write} {
			if n, err := use(make([]byte, 10)); n != 0 || err == nil {
				t.Errorf("after HandOver %d bytes, %v", n, err)
			}
		}
		if err := c.HandOver(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second HandOver: %v", err)
		}
	}
	c := w.dial(nil)
	long := strings.Repeat("x", 20000) // in two records
	c.say("123456\n")
	<-took
	c.say(long + "\n")
	c.say("last\n")
	w.replace()
	c.expect("2 state 456")
	c.expect("2 " + long)
	c.expect("2 last")
	second := w.replace()
	if err := second.handedOver(); err != nil {
		t.Fatal(err)
	}
	c.say("more\n")
	c.expect("3 more")
}

// TestHalfRecord begins a drain when a part of a record has come, cut anywhere,
// in a session that is new and in one that has moved before. The rest comes when
// the process waits for it.
func TestHalfRecord(t *testing.T) {
	for _, cut := range []int{1, 4, 5, 6, 20, 100, 116} { // of 5 + 100 + 1 + 16 bytes
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			w := newWorld(t, "tcp", selfSigned())
			c := w.dial(nil)
			c.say("hello\n")
			c.expect("1 hello")
			waitsForPart = c.release
			defer func() { waitsForPart = func() {} }()
			for number := 2; number <= 4; number++ {
				line := strings.Repeat("x", 99)
				c.holdAfter(cut)
				c.say(line + "\n")
				w.now.awaitTaken(c.valve)
				before := w.replace()
				if err := before.handedOver(); err != nil {
					t.Fatal(err)
				}
				c.expect(fmt.Sprintf("%d %s", number, line))
			}
		})
	}
}

// awaitTaken waits until nothing that clients have sent waits in the kernel, and
// what v has let pass is not on its way any more.
func (p *process) awaitTaken(v *valve) {
	p.t.Helper()
	p.await("what has come to be read", func() bool {
		if v.isOnItsWay() {
			return false
		}
		for _, c := range p.conns.All() {
			if fdutil.HasUnread(c.Base().Raw) {
				return false
			}
		}
		return true
	})
}

// TestHalfRecordNever has the rest of a record not come. The session stays, and
// is good to the end.
func TestHalfRecordNever(t *testing.T) {
	impatient(t)
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	c.say("hello\n")
	c.expect("1 hello")
	c.holdAfter(50)
	c.say(strings.Repeat("x", 99) + "\n")
	w.now.awaitTaken(c.valve)
	if err := w.replace().handedOver(); !errors.Is(err, ErrUnread) {
		t.Errorf("HandOver: %v, want ErrUnread", err)
	}
	c.expect("1 goodbye")
	c.expectEnd(nil)
}

// TestWithFinished has a client send, along with the end of its handshake, what
// is as long as a KeyUpdate: it moves.
func TestWithFinished(t *testing.T) {
	for _, curve := range []tls.CurveID{tls.X25519, tls.CurveP256} {
		w := newWorld(t, "tcp", selfSigned())
		c := w.dial(&tls.Config{CurvePreferences: []tls.CurveID{curve}})
		c.hold, c.skip = true, 1 // the hello
		c.say("ping\n")
		c.say("half\nx")
		c.release()
		c.expect("1 ping")
		c.expect("1 half")
		if err := w.replace().handedOver(); err != nil {
			t.Fatal(err)
		}
		c.say("\n")
		c.expect("2 x")
	}
}

// Shown shows what is under it, and hidden does not. An eater keeps what comes
// first for itself, as for the header of a proxy.
type (
	shown   struct{ net.Conn }
	unnamed = net.Conn
	hidden  struct{ unnamed }
	eater   struct {
		net.Conn
		eaten bool
	}
)

func (e *eater) Read(p []byte) (int, error) {
	if !e.eaten {
		if _, err := e.Conn.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
		e.eaten = true
	}
	return e.Conn.Read(p)
}

// TestAround hands sessions over whose connections the program has put something
// around, if that lets them go.
func TestAround(t *testing.T) {
	for name, test := range map[string]struct {
		wraps func(net.Conn) net.Conn
		first string
		want  error
	}{
		"shown":  {func(nc net.Conn) net.Conn { return &shown{nc} }, "", nil},
		"hidden": {func(nc net.Conn) net.Conn { return &hidden{nc} }, "", errors.ErrUnsupported},
		"eater":  {func(nc net.Conn) net.Conn { return &eater{Conn: nc} }, "x", errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldAround(t, "tcp", selfSigned(), test.wraps)
			c := w.dial(nil)
			if _, err := c.valve.Write([]byte(test.first)); err != nil {
				t.Fatal(err)
			}
			c.say("hello\nha")
			c.expect("1 hello")
			before := w.replace()
			if err := before.handedOver(); !errors.Is(err, test.want) {
				t.Fatalf("HandOver: %v, want %v", err, test.want)
			}
			if test.want != nil {
				c.expect("1 goodbye")
				if n := before.conns.Sessions().Stayed["wrapped"]; n != 1 {
					t.Errorf("%d sessions stayed for what is around them", n)
				}
				return
			}
			c.say("lf\n")
			c.expect("2 half")
		})
	}
}

// TestHoldReads reads to the end of a record that has begun and no further, in a
// session that is new and in one that has moved.
func TestHoldReads(t *testing.T) {
	for _, moved := range []bool{false, true} {
		w := newWorld(t, "tcp", selfSigned())
		began, sent, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		check := func(c *Conn) {
			defer close(ended)
			read := func(want string, wantErr error) {
				buffer := make([]byte, 100)
				if n, err := c.session.Read(buffer); string(buffer[:n]) != want || !errors.Is(err, wantErr) {
					t.Errorf("moved %t: read %q, %v, want %q, %v", moved, buffer[:n], err, want, wantErr)
				}
			}
			began <- struct{}{}
			<-sent
			read("one", nil)
			c.session.HoldReads(true)
			read("two", nil)
			began <- struct{}{}
			read("three", nil)
			read("", os.ErrDeadlineExceeded) // though there is no deadline
			if c.session.HasPart() || !fdutil.HasUnread(c.session.Socket) {
				t.Errorf("moved %t: the record after that has begun", moved)
			}
			c.session.HoldReads(false)
			_ = c.SetReadDeadline(patience.Deadline(limit))
			read("four", nil)
		}
		w.handler = check
		if !moved {
			w.now.server.Handler = check
		}
		c := w.dial(nil)
		if moved {
			c.say("hello\n")
			c.expect("1 hello")
			if err := w.replace().handedOver(); err != nil {
				t.Fatal(err)
			}
		} else if err := c.Conn.(*tls.Conn).Handshake(); err != nil {
			t.Fatal(err)
		}
		<-began
		c.holdAfter(2*(5+3+1+16) + 10)
		for _, text := range []string{"one", "two", "three", "four"} {
			c.say(text)
		}
		w.now.await("what was said to come", func() bool { return !c.isOnItsWay() })
		close(sent)
		<-began
		c.release()
		<-ended
	}
}

// TestFlood moves a session whose client never pauses, and has begun another
// record at any time.
func TestFlood(t *testing.T) {
	w := newWorld(t, "tcp", selfSigned())
	c := w.dial(nil)
	stop := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				_, _ = fmt.Fprintf(c, "%d last\n", n)
				return
			default:
			}
			if _, err := fmt.Fprintf(c, "%d %s\n", n, strings.Repeat("x", n%20000)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	n := 0
	hear := func() (last bool) {
		line, err := c.lines.ReadString('\n')
		var process, number int
		if _, scanErr := fmt.Sscanf(line, "%d %d ", &process, &number); err != nil || scanErr != nil || number != n {
			t.Fatalf("line %d is %.40q, %v", n, line, err)
		}
		n++
		return strings.HasSuffix(line, "last\n")
	}
	for range 5 {
		for range 20 {
			hear()
		}
		before := w.replace()
		for len(before.errs) == 0 { // it may wait for a Write
			hear()
		}
		if err := before.handedOver(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	for !hear() {
	}
}
