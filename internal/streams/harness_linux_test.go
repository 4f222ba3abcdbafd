package streams

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

const limit = 30 * time.Second

// A process is one, but for being in this one: it has a Server, whose handler
// answers lines and hands over what it has of one.
type process struct {
	t      *testing.T
	number int
	server *Server
	conns  *conntrack.Registry
	errs   chan error // of each HandOver
	served sync.WaitGroup
}

// A world is processes, of which each is replaced by the next one.
type world struct {
	t        *testing.T
	listener net.Listener
	config   *tls.Config // nil for plain streams
	adopting *tls.Config // of the next process, if it is another one
	now      *process
	full     atomic.Bool // the next process takes nothing
	lost     atomic.Bool // it died
	handler  func(*Conn) // of processes to come
}

func newWorld(t *testing.T, network string, config *tls.Config) *world {
	t.Helper()
	return newWorldAround(t, network, config, nil)
}

// A wrapping listener is one that a program has put around another.
type wrapping struct {
	net.Listener
	wraps func(net.Conn) net.Conn
}

func (l wrapping) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wraps(nc), nil
}

// newWorldAround has wraps put something around each connection, unless it is
// nil.
func newWorldAround(t *testing.T, network string, config *tls.Config, wraps func(net.Conn) net.Conn) *world {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = t.TempDir() + "/socket"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if wraps != nil {
		listener = wrapping{listener, wraps}
	}
	w := &world{t: t, listener: listener, config: config}
	w.now = w.start(1)
	w.now.served.Go(func() { _ = w.now.server.Serve() })
	served := &w.now.served
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	return w
}

func (w *world) start(number int) *process {
	p := &process{t: w.t, number: number, errs: make(chan error, 1000)}
	p.conns = conntrack.New(conntrack.Config{Close: func(c io.Closer) { go func() { _ = c.Close() }() }})
	p.server = &Server{
		Endpoint: conntrack.Endpoint{Registry: p.conns, Listener: w.listener, Name: "test", Kind: conntrack.Streams, Movable: true},
		Handler:  p.handle,
		Log:      hclog.NewNullLogger(),
		Hidden:   func(net.Conn) {},
	}
	if w.handler != nil {
		p.server.Handler = w.handler
	}
	if w.config != nil {
		p.server.Secure(w.config)
	}
	w.t.Cleanup(func() {
		for _, c := range p.conns.All() {
			_ = c.Base().Raw.Close()
		}
		p.conns.Stop()
		p.await("its connections to end", func() bool { return p.conns.Len() == 0 })
	})
	return p
}

func (p *process) await(what string, done func() bool) {
	p.t.Helper()
	if !patience.Until(limit, done) {
		p.t.Fatalf("process %d waits for %s", p.number, what)
	}
}

// handle answers each line with the number of the process, and it.
func (p *process) handle(c *Conn) {
	got, buffer := bytes.Clone(c.State()), make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		got = append(got, buffer[:n]...)
		for {
			line, rest, found := bytes.Cut(got, []byte("\n"))
			if !found {
				break
			}
			got = rest
			if _, err := fmt.Fprintf(c, "%d %s\n", p.number, line); err != nil {
				return
			}
		}
		if errors.Is(err, ErrDraining) {
			err := c.HandOver(got)
			if err != nil {
				fmt.Fprintf(c, "%d goodbye\n", p.number)
			}
			p.errs <- err
			return
		}
		if err != nil {
			return
		}
	}
}

// replace has the next process go on with all connections. It returns at once.
func (w *world) replace() *process {
	w.t.Helper()
	return w.replaceBy(func(sink conntrack.Sink) conntrack.Sink { return sink })
}

// replaceBy is replace with what around makes of the way to the next process.
func (w *world) replaceBy(around func(conntrack.Sink) conntrack.Sink) *process {
	w.t.Helper()
	before := w.now
	if w.adopting != nil {
		w.config = w.adopting
	}
	w.now = w.start(before.number + 1)
	before.conns.LeaveTo(around(&wire{w, before, w.now}))
	before.server.SetPhase(conntrack.Moving)
	before.conns.ReleaseAtRest()
	return before
}

// handedOver returns the error of the next HandOver.
func (p *process) handedOver() error {
	p.t.Helper()
	select {
	case err := <-p.errs:
		return err
	case <-time.After(patience.Of(limit)):
		p.t.Fatalf("process %d never hands over", p.number)
		return nil
	}
}

// A wire takes connections from one process to another.
type wire struct {
	w        *world
	from, to *process
}

func (s *wire) Serves(e *conntrack.Endpoint) bool {
	return e.Kind == s.to.server.Kind && !s.w.lost.Load()
}
func (s *wire) IsFull() bool { return s.w.full.Load() }

func (s *wire) Pass(c conntrack.Conn) {
	if s.w.lost.Load() {
		s.from.conns.TakeBack([]conntrack.Conn{c})
		return
	}
	i := c.Base()
	fd := -1
	raw, err := i.Raw.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(from uintptr) { fd, _ = syscall.Dup(int(from)) })
	}
	if err != nil {
		s.w.t.Error(err)
		return
	}
	f := os.NewFile(uintptr(fd), "passed")
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		s.w.t.Error(err)
		return
	}
	left := bytes.Clone(i.Left)
	conntrack.Forget(c)
	_ = conntrack.Close(c)
	s.to.server.Arrive(transfer.Arrival{Conn: nc, Left: left})
}

// selfSigned is a server's configuration.
func selfSigned() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}}
}

// A valve is a client's socket that holds back what it is told to.
type valve struct {
	net.Conn
	mu   sync.Mutex
	pass int // bytes, if holds
	hold bool
	skip int // Writes that pass as a whole all the same
	held []byte
}

func (v *valve) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := p
	switch {
	case v.hold && v.skip > 0:
		v.skip--
	case v.hold:
		n := min(v.pass, len(p))
		v.pass -= n
		now = p[:n]
		v.held = append(v.held, p[n:]...)
	}
	if _, err := v.Conn.Write(now); err != nil {
		return 0, err
	}
	return len(p), nil
}

// holdAfter holds back all but the next pass bytes.
func (v *valve) holdAfter(pass int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hold, v.pass = true, pass
}

func (v *valve) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hold = false
	_, _ = v.Conn.Write(v.held)
	v.held = nil
}

// isOnItsWay reports whether the other end's kernel has yet to get some of what
// has passed. The socket is one of TCP.
func (v *valve) isOnItsWay() bool {
	left := -1
	fdutil.Control(v.Conn, func(fd int) { left, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return left != 0
}

// A client speaks TLS if its world does.
type client struct {
	t *testing.T
	net.Conn
	*valve
	lines *bufio.Reader
}

func (w *world) dial(config *tls.Config) *client {
	w.t.Helper()
	nc, err := net.Dial(w.listener.Addr().Network(), w.listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = nc.Close() })
	v := &valve{Conn: nc}
	c := &client{t: w.t, Conn: v, valve: v}
	if w.config != nil {
		if config == nil {
			config = new(tls.Config)
		}
		config.InsecureSkipVerify = true
		c.Conn = tls.Client(v, config)
	}
	c.lines = bufio.NewReader(c.Conn)
	_ = c.SetDeadline(patience.Deadline(2 * limit))
	return c
}

func (c *client) Write(p []byte) (int, error) { return c.Conn.Write(p) }
func (c *client) Close() error                { return c.Conn.Close() }

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(line string) {
	c.t.Helper()
	got, err := c.lines.ReadString('\n')
	if err != nil || strings.TrimSuffix(got, "\n") != line {
		c.t.Fatalf("read %.200q, %v, want %.200q", got, err, line)
	}
}

// expectEnd reads the end of the connection: with TLS, as the server says it or
// not.
func (c *client) expectEnd(want error) {
	c.t.Helper()
	if rest, err := io.ReadAll(c.lines); len(rest) > 0 || !errors.Is(err, want) {
		c.t.Errorf("read %q, %v, want %v", rest, err, want)
	}
}
