package lifecycle_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A withheld connection sends what is written to it only when it is told to.
type withheld struct {
	net.Conn
	written chan struct{} // receives, with room for one

	mu   sync.Mutex
	held []byte
	open bool
}

func (w *withheld) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open {
		return w.Conn.Write(p)
	}
	w.held = append(w.held, p...)
	select {
	case w.written <- struct{}{}:
	default:
	}
	return len(p), nil
}

// hold keeps back what is written from now on.
func (w *withheld) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = false
}

// send sends some bytes of what is held.
func (w *withheld) send(t *testing.T, n int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, len(w.held))
	if _, err := w.Conn.Write(w.held[:n]); err != nil {
		t.Error(err)
	}
	w.held = w.held[n:]
}

// release sends the rest, and holds nothing any more.
func (w *withheld) release(t *testing.T) {
	t.Helper()
	w.send(t, 1<<20)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = true
}

// dialWithheld begins a TLS handshake of which nothing is sent yet.
func (d *local) dialWithheld() (*withheld, *client, <-chan error) {
	d.t.Helper()
	nc, err := net.Dial(d.network, d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	w := &withheld{Conn: nc, written: make(chan struct{}, 1)}
	tc := tls.Client(w, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	done := make(chan error, 1)
	go func() { done <- tc.Handshake() }()
	d.t.Cleanup(func() { _ = nc.Close() })
	<-w.written
	return w, &client{d.t, tc, bufio.NewReader(tc)}, done
}

// TestDrainUnfinishedTLS has clients of TLS in each state of a handshake and of
// a request when the linger of a drain ends. What they have begun is work.
func TestDrainUnfinishedTLS(t *testing.T) {
	for _, kind := range []string{"yes", "moving", "listener"} { // that one is the program's own
		t.Run(kind, func(t *testing.T) { drainUnfinishedTLS(t, kind) })
	}
}

func drainUnfinishedTLS(t *testing.T, kind string) {
	move := ""
	if kind == "moving" {
		move = "yes"
	}
	d := startLocal(t, "tcp", "HEIRLOOM_TEST_TLS="+kind, "HEIRLOOM_TEST_MOVE_TLS="+move, "HEIRLOOM_TEST_LINGER="+span(3*time.Second), "HEIRLOOM_TEST_DRAIN=10m", "HEIRLOOM_TEST_SILENCE=10m")
	idle, busy := d.dialTLS(), d.dialTLS()
	idle.ask("/")
	idle.answer(1)
	d.underWay(busy, "/?until=late")

	nothingSent, silent, silentShook := d.dialWithheld()
	helloSent, greeted, greetedShook := d.dialWithheld()
	helloSent.send(t, 100)

	recordSent, halfway, halfwayShook := d.dialWithheld()
	recordSent.release(t)
	if err := <-halfwayShook; err != nil {
		t.Fatal(err)
	}
	halfway.ask("/")
	halfway.answer(1)

	const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	pipelining := d.dialTLS()
	fmt.Fprint(pipelining, get+get[:20])
	pipelining.answer(1)

	d.eventually("all to be accepted", func() bool {
		s := d.status()
		return s.Requests == 1 && s.Connections.New == 2
	})
	recordSent.hold()
	time.Sleep(20 * time.Millisecond) // since its response: a tick of the kernel's clock lasts up to 10
	halfway.ask("/")
	recordSent.send(t, 20)
	d.signal(syscall.SIGTERM)
	idle.closed() // the linger is over
	d.write("late", "")
	busy.answer(1)
	busy.ask("/")
	nothingSent.release(t)
	helloSent.release(t)
	for _, shook := range []<-chan error{silentShook, greetedShook} {
		if err := <-shook; err != nil {
			t.Fatal(err)
		}
	}
	silent.ask("/")
	greeted.ask("/")
	recordSent.release(t)
	fmt.Fprint(pipelining, get[20:])
	clients := map[string]*client{"silent": silent, "greeted": greeted, "halfway": halfway, "pipelining": pipelining, "busy": busy}
	if kind == "listener" { // what is in its buffers is known to nobody
		delete(clients, "pipelining")
	}
	for name, c := range clients {
		t.Log(name)
		if !c.answer(1) {
			t.Errorf("%s was not told that the connection closes", name)
		}
		c.closed()
	}
	if err := d.awaitExit(); err != nil {
		t.Error(err)
	}
}
