package ledger

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// TestCompaction has connections come and go. What is dead does not stay in the
// queue, and what lives is not lost.
func TestCompaction(t *testing.T) {
	l := newTestLedger(t)
	stay := connect(t, 300)
	for i := 0; i < len(stay); i += 2 { // in as many messages as can be
		enter(t, l, stay[i:i+2])
	}
	for range 10 {
		for _, c := range connect(t, 150) {
			enter(t, l, []connected{c})
			c.close()
			c.ended(t)
		}
	}
	if !patience.Until(time.Minute, func() bool {
		descriptors, messages := queued(t, l)
		return descriptors <= 2*300+maxBatch && messages <= 2*spareMessages
	}) {
		descriptors, messages := queued(t, l)
		t.Errorf("%d descriptors in %d messages are queued for 300 connections", descriptors, messages)
	}
	if s := l.Stats(); s.Kept != 300 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	a, _ := adopt(t, reopen(t, l))
	if a.Connections != 300 || a.Cut != 0 || a.Lost != 0 {
		t.Errorf("%+v", a)
	}
}

// TestTidy has few connections end, which nothing else would have removed from
// the queue.
func TestTidy(t *testing.T) {
	l := newTestLedger(t)
	l.tidyAfter = time.Millisecond
	conns := connect(t, 5)
	for _, c := range conns {
		enter(t, l, []connected{c})
	}
	for i, c := range conns[:3] {
		c.close()
		if !patience.Until(time.Minute, func() bool { n, _ := queued(t, l); return n == len(conns)-1-i }) {
			t.Fatal("a dead entry stays in the queue")
		}
	}
	if a, _ := adopt(t, reopen(t, l)); a.Connections != 2 || a.Cut+a.Lost > 0 {
		t.Errorf("%+v", a)
	}
}

// TestTwice finds what a process has left that died in the middle of a
// compaction.
func TestTwice(t *testing.T) {
	l := newTestLedger(t)
	conns := connect(t, 3)
	enter(t, l, conns)
	l.mu.Lock()
	if err := l.send(origin{"http", "127.0.0.1:80"}, candidates(conns)); err != nil {
		t.Fatal(err)
	}
	l.mu.Unlock()
	next := reopen(t, l)
	a, found := adopt(t, next)
	if a.Connections != 3 || len(found) != 3 || found[0].Listener != "http" || found[0].Address != "127.0.0.1:80" || !found[0].IsNew() {
		t.Errorf("%+v %v", a, found)
	}
	if !patience.Until(time.Minute, func() bool { n, _ := queued(t, next); return n == 3 }) {
		t.Error("dead entries stay in the queue")
	}
}

// TestSlots uses the slots of connections that have ended again, and never
// confuses the connections.
func TestSlots(t *testing.T) {
	l := newTestLedger(t)
	for range 5 {
		conns := connect(t, 10)
		enter(t, l, conns)
		for _, c := range conns[:5] {
			c.close()
			c.mark.Rest() // too late
		}
		t.Cleanup(func() {
			for _, c := range conns {
				c.close()
			}
		})
	}
	if highest := l.page.field(fieldHighest).Load(); highest > 30 {
		t.Errorf("%d slots are used for 25 connections", highest)
	}
	a, _ := adopt(t, reopen(t, l))
	if a.Connections != 25 || a.Cut != 0 {
		t.Errorf("%+v", a)
	}
}

// TestLyingPage changes what the page says. It may have connections cut, and
// nothing else.
func TestLyingPage(t *testing.T) {
	for name, lie := range map[string]func(p page){
		"more was read":    func(p page) { p.slot(1).Store(p.slot(1).Load() + 1<<stateBits) },
		"it was busy":      func(p page) { p.slot(1).Store(uint64(newWord(1, 0, busy))) },
		"an unknown state": func(p page) { p.slot(1).Store(uint64(newWord(1, 0, 3))) },
		"another epoch":    func(p page) { p.slot(1).Store(uint64(newWord(2, 0, rest))) },
		"nothing":          func(p page) { p.slot(1).Store(0) },
		"no slots":         func(p page) { p.field(fieldHighest).Store(0) },
		"many deaths":      func(p page) { p.field(fieldDeaths).Store(1<<64 - 1) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLedger(t)
			c := connect(t, 1)[0]
			enter(t, l, []connected{c})
			lie(l.page)
			next := reopen(t, l)
			a, found := adopt(t, next)
			if want := name == "no slots"; (a.Connections == 1) != want || (len(found) == 1) != want {
				t.Errorf("%+v", a)
			}
			if a.Connections == 0 {
				_ = c.Close() // as the process that has died
				l.End()
				c.ended(t)
				return
			}
			other := connect(t, 1)[0]
			enter(t, next, []connected{other})
			if other.mark.place.Load().slot == 1 {
				t.Error("a slot has two owners")
			}
		})
	}
}

// TestWrongDescriptors queues what is not a connection of TCP, under the slot of
// one.
func TestWrongDescriptors(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fds := []int{pair[0]}
	_ = control(null, func(fd int) { fds = append(fds, fd) })
	_ = control(listener.(*net.TCPListener), func(fd int) { fds = append(fds, fd) })
	for _, fd := range fds {
		l := newTestLedger(t)
		c := connect(t, 1)[0]
		enter(t, l, []connected{c})
		e := c.mark.place.Load().entry
		l.mu.Lock()
		for l.queue.drop() == nil {
		}
		if err := l.queue.send(encode(origin{"http", ""}, []entry{e, e}), []int{fd}); err != nil {
			t.Fatal(err)
		}
		if err := l.queue.send([]byte("what?"), []int{fd, fd}); err != nil {
			t.Fatal(err)
		}
		l.messages, l.total = nil, 0
		l.mu.Unlock()
		if a, _ := adopt(t, reopen(t, l)); a.Connections != 0 || a.Cut != 1 {
			t.Errorf("descriptor %d: %+v", fd, a)
		}
	}
}

// TestOpenWrong opens what is not a ledger. The descriptors are closed.
func TestOpenWrong(t *testing.T) {
	l := newTestLedger(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	nothing := -1
	_ = control(null, func(fd int) { nothing = fd })
	growing, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(growing)
	f := l.Files()
	for name, wrong := range map[string]Files{
		"no page":                {nothing, f.Read, f.Write},
		"a page that may shrink": {growing, f.Read, f.Write},
		"no queue":               {f.Page, nothing, f.Write},
		"no queue to write to":   {f.Page, f.Read, nothing},
		"a queue as page":        {f.Read, f.Read, f.Write},
	} {
		if _, err := Open(duplicate(t, wrong)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	swapped := duplicate(t, Files{f.Page, f.Write, f.Read})
	c := connect(t, 1)
	enter(t, l, c)
	next, err := Open(swapped)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.End)
	if a, _ := adopt(t, next); a.Connections != 1 {
		t.Errorf("the ends in the other order: %+v", a)
	}
}

// TestEnd passes connections on: their Close ends them for this process alone.
func TestEnd(t *testing.T) {
	l := newTestLedger(t)
	c := connect(t, 1)[0]
	enter(t, l, []connected{c})
	held := reopen(t, l) // by systemd
	elsewhere, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	l.End()
	l.End()
	c.close()
	if n, _ := queued(t, held); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
	if _, err := elsewhere.WriteString("x"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c.client, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if err := l.Enter("http", "", candidates(connect(t, 1))); err != nil {
		t.Error(err)
	}
}

// TestEndWhileAdopting begins to pass connections on in the middle of an
// adoption. It goes on, and nothing is shut down.
func TestEndWhileAdopting(t *testing.T) {
	l := newTestLedger(t)
	conns := connect(t, 600)
	enter(t, l, conns)
	next := reopen(t, l)
	n := 0
	a, err := next.Adopt(Taker{Take: func(f *Found) bool {
		m := new(Mark)
		f.Keep(m)
		if n++; n == 100 {
			next.End()
		}
		if n >= 100 && m.Close() {
			t.Error("to be shut down")
		}
		t.Cleanup(func() { _ = f.Conn.Close() })
		return true
	}})
	if err != nil || a.Connections != 600 {
		t.Errorf("%+v, %v", a, err)
	}
	if waits(l.queue.read) {
		t.Error("the queue is not empty")
	}
}

// TestEndBeforeAdopting begins to pass connections on when an adoption is about
// to begin. It takes place, and nothing is shut down.
func TestEndBeforeAdopting(t *testing.T) {
	l := newTestLedger(t)
	enter(t, l, connect(t, 10))
	next := reopen(t, l)
	next.ExpectAdopt()
	next.End()
	if a, _ := adopt(t, next); a.Connections != 10 {
		t.Errorf("%+v", a)
	}
	if waits(l.queue.read) {
		t.Error("the queue is not empty")
	}
}

// TestRefused has no count for Unix sockets and Multipath TCP.
func TestRefused(t *testing.T) {
	l := newTestLedger(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	file := os.NewFile(uintptr(pair[0]), "unix")
	defer file.Close()
	m := new(Mark)
	m.Rest()
	if err := l.Enter("http", "", []Candidate{{m, file}}); err != nil {
		t.Error(err)
	}
	if s := l.Stats(); s.Kept != 0 || s.Refused != 1 || m.Close() {
		t.Errorf("%+v", s)
	}
	other := new(Mark)
	other.BeginAt(file)
	if other.stage.Load() != refused {
		t.Error("a Unix socket has a count")
	}
	long := connect(t, 1)[0]
	if err := l.Enter(fmt.Sprintf("%300d", 1), "", candidates([]connected{long})); err == nil || l.Stats().Kept > 0 {
		t.Error("the name is too long")
	}
}
