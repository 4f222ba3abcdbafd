package fdstore

import (
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
	"github.com/heirloom-go/heirloom/notify"
)

func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	return net.FileConn(f)
}

// generation returns the store of a process of that generation, which found
// what is there.
func (m *manager) generation(n int, found *Found) *Store {
	m.t.Helper()
	hello := handover.Message{Type: handover.Hello}
	hello.Protocol, hello.Generation = handover.Protocol, n
	s := New(Config{
		Manager:    m,
		Generation: n,
		Hello:      hello,
		Owner:      conntrack.New(conntrack.Config{}),
		Log:        hclog.NewNullLogger(),
	}, found)
	m.t.Cleanup(s.Close)
	return s
}

func (m *manager) find() *Found {
	m.t.Helper()
	found := Find(m.give(), nil, func(_ handover.Message, fds []int) { fdutil.CloseAll(fds) }, hclog.NewNullLogger())
	m.t.Cleanup(func() {
		for _, e := range found.Entries {
			_ = e.Conn.Close()
		}
	})
	return found
}

// listener returns a socket to be stored by that name.
func listener(t *testing.T, name string) Socket {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return Socket{Name: name, Conn: l}
}

func (m *manager) check(when string, want ...string) {
	m.t.Helper()
	if got := m.names(); !reflect.DeepEqual(got, want) {
		m.t.Errorf("%s: stored are %q, want %q", when, got, want)
	}
}

// TestStore goes through a start, a reload, and a restart.
func TestStore(t *testing.T) {
	m := newManager(t, 16)
	web := listener(t, "web")
	first := m.generation(1, &Found{})
	if !first.Save([]Socket{web, listener(t, "old")}, nil) || first.Queue() == nil {
		t.Fatal("the store has no room")
	}
	m.check("after the start", "heirloom-1", "old", "web")
	second := m.generation(2, &Found{})
	second.Save(nil, []string{"old"})
	m.check("after a reload", "heirloom-2", "web")

	q := second.Queue()
	state := handover.Message{Type: handover.State}
	state.Name = "keys"
	if err := q.Send(func(send transfer.SendFunc) error { return send(state) }); err != nil {
		t.Fatal(err)
	}
	second.Close()
	found := m.find()
	if len(found.Entries) != 1 || found.Next != 3 {
		t.Fatalf("found %d queues, and the next generation is %d", len(found.Entries), found.Next)
	}
	third := m.generation(3, found)
	third.Save(nil, nil)
	m.check("after a restart", "heirloom-2", "heirloom-3", "web")
	third.Taken(found.Entries[0])
	third.Forget()
	m.check("when the queue is taken over", "heirloom-3", "web")
}

// A deaf is a manager that takes what it is told, and reads nothing of it while
// deaf is set.
type deaf struct {
	*manager
	deaf bool
}

func (d *deaf) Await() error {
	if d.deaf {
		return context.DeadlineExceeded
	}
	return d.manager.Await()
}

// TestStoreSlow has a service manager that is slow when the handover socket is
// stored. It is relied on once it has read of that, and not before.
func TestStoreSlow(t *testing.T) {
	for max, kept := range map[int]bool{0: false, 16: true} {
		m := &deaf{newManager(t, max), true}
		m.refuseLate()
		s := m.generation(1, &Found{})
		s.Manager = m
		if !s.Save(nil, nil) || s.NeededQueue() != nil {
			t.Fatal("what it has not read of is refused, or relied on")
		}
		m.deaf = false
		_ = m.names() // it has read
		m.closeRefused()
		if q := s.NeededQueue(); (q != nil) != kept {
			t.Errorf("with room for %d the queue is %v", max, q)
		}
		m.deaf = true
		if s.TryAgain(); s.NeededQueue() != nil {
			t.Error("at the end it is relied on without having read")
		}
		_ = m.names()
		m.closeRefused()
	}
}

// TestStoreFull has no room for the handover socket, or for two of them at
// once.
func TestStoreFull(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		m := newManager(t, 0)
		s := m.generation(1, &Found{})
		if s.Save([]Socket{listener(t, "web")}, nil) || s.Queue() != nil {
			t.Error("the store has room")
		}
		s.TryAgain()
		if s.Queue() != nil {
			t.Error("the store has room, the second time")
		}
	})
	t.Run("one", func(t *testing.T) {
		m := newManager(t, 1)
		m.generation(1, &Found{}).Save(nil, nil)
		m.check("after the start", "heirloom-1")
		if s := m.generation(2, &Found{}); !s.Save(nil, nil) || s.Queue() == nil {
			t.Error("the store has no room, though the older socket can go")
		}
		m.check("after a reload", "heirloom-2")
	})
}

// TestStoreRefusesLate has no room for a second handover socket until the first
// is taken over, and closes what it refuses only later.
func TestStoreRefusesLate(t *testing.T) {
	for _, room := range []string{"", "2"} { // systemd says it, or does not
		t.Run("FDSTORE="+room, func(t *testing.T) {
			m := newManager(t, 2)
			t.Setenv("FDSTORE", room)
			web := []Socket{listener(t, "web")}
			first := m.generation(1, &Found{})
			first.Save(web, nil)
			if !first.IsCertain() {
				t.Fatal("the store has no room for one")
			}
			first.Close()
			m.refuseLate()
			defer m.closeRefused()
			found := m.find()
			second := m.generation(2, found)
			if second.Save(web, nil); second.Queue() == nil {
				t.Fatal("the refusal shows at once")
			}
			m.check("after the restart", "heirloom-1", "web")
			second.Taken(found.Entries[0])
			if second.Forget(); second.IsCertain() {
				t.Error("what was refused is taken for certain")
			}
			if second.Save(web, nil); !second.IsCertain() {
				t.Error("the store has no room, though the older socket is gone")
			}
			m.check("in the end", "heirloom-2", "web")
		})
	}
}

// TestStoreBesideTwo finds two handover sockets of one generation, beside which
// there is no room for another, and is told of that late.
func TestStoreBesideTwo(t *testing.T) {
	m := newManager(t, 3)
	t.Setenv("FDSTORE", "3")
	web := []Socket{listener(t, "web")}
	first := m.generation(1, &Found{})
	first.Save(web, nil)
	spare, err := transfer.NewQueue(first.Hello, first.keepOwn, first.Owner, first.Log)
	if err != nil {
		t.Fatal(err)
	}
	spare.Close()
	first.Close()
	m.refuseLate()
	defer m.closeRefused()
	found := m.find()
	second := m.generation(2, found)
	second.Save(web, nil)
	m.check("after the restart", "heirloom-1", "heirloom-1", "web")
	for _, e := range found.Entries {
		second.Taken(e)
	}
	if second.Forget(); second.IsCertain() {
		t.Error("what was refused is taken for certain")
	}
	second.Save(nil, nil)
	m.check("in the end", "heirloom-2", "web")
}

// TestNeededQueue is told to stop just when its handover socket was refused.
func TestNeededQueue(t *testing.T) {
	m := newManager(t, 0)
	m.refuseLate()
	s := m.generation(2, &Found{})
	if s.Save(nil, nil); s.Queue() == nil {
		t.Fatal("the refusal shows at once")
	}
	m.closeRefused()
	if s.NeededQueue() != nil {
		t.Error("what was refused is to be used")
	}
}

// A follower refuses what it is to store, the first time at once and then late:
// systemd does so with what a process says that it does not follow.
type follower struct {
	*manager
	asked bool
}

func (f *follower) Notify(states ...notify.State) error {
	err := f.manager.Notify(states...)
	if err == nil && !f.asked {
		f.asked = true
		err = f.Await()
		f.refuseLate()
	}
	return err
}

// TestNeededQueueOfOrphan has a store that seems to take the handover socket
// when what the generation before had in it is gone. There seems to be room.
func TestNeededQueueOfOrphan(t *testing.T) {
	m := newManager(t, 0)
	t.Setenv("FDSTORE", "64")
	s := m.generation(2, &Found{})
	s.Manager = &follower{manager: m}
	if s.Save(nil, nil); s.Queue() == nil {
		t.Fatal("the refusal shows at once")
	}
	if !s.unsure {
		t.Error("the queue is to be used without a look for a refusal")
	}
	m.closeRefused()
	if s.NeededQueue() != nil {
		t.Error("what was refused is to be used")
	}
}

// TestForeign leaves what a newer version of the program has queued where it
// is.
func TestForeign(t *testing.T) {
	m := newManager(t, 16)
	s := m.generation(4, &Found{})
	s.Hello.Protocol, s.Hello.MinReader = handover.Protocol+1, handover.Protocol+1
	s.Save(nil, nil)
	found := m.find()
	if len(found.Entries) != 0 || found.Next != 5 || found.HasBound {
		t.Errorf("found %d queues; the next generation is %d", len(found.Entries), found.Next)
	}
	next := m.generation(5, found)
	next.Save(nil, next.Unclaimed(handed{{"heirloom-4", -1}, {"somebody's", -1}}))
	m.check("after the next start", "heirloom-4", "heirloom-5")
}

// TestFind reads what the newest process said, in whatever order the store has
// them, and the state of a whole queue alone.
func TestFind(t *testing.T) {
	for _, newestFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("the newest first: ", newestFirst), func(t *testing.T) { testFind(t, newestFirst) })
	}
}

func testFind(t *testing.T, newestFirst bool) {
	m := newManager(t, 16)
	older, newer := m.generation(1, &Found{}), m.generation(3, &Found{})
	older.Hello.Bound = []handover.Bound{{Name: "old"}}
	newer.Hello.Bound = []handover.Bound{{Name: "new"}}
	order := []*Store{older, newer}
	if newestFirst {
		order = []*Store{newer, older}
	}
	for _, s := range order {
		s.Save(nil, nil)
	}
	state := handover.Message{Type: handover.State}
	for _, s := range []*Store{older, newer} {
		if err := s.Queue().Send(func(send transfer.SendFunc) error { return send(state) }); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	// A process that died has begun to take over the older one.
	files := m.give()
	conns, err := files.Conns(Name(1))
	if err != nil {
		t.Fatal(err)
	}
	conn := handover.NewConn(conns[0].(*net.UnixConn))
	_, _, _ = conn.TryReceive()
	_ = conn.Close()
	states := 0
	found := Find(m.give(), nil, func(handover.Message, []int) { states++ }, hclog.NewNullLogger())
	for _, e := range found.Entries {
		_ = e.Conn.Close()
	}
	if len(found.Entries) != 2 || states != 1 || found.Next != 4 || len(found.Bound) != 1 || found.Bound[0].Name != "new" {
		t.Errorf("found %+v with %d states", found, states)
	}
}

// TestName is the reverse of Generation, for the names of ours alone.
func TestName(t *testing.T) {
	for _, n := range []int{1, 9, 10, 12345} {
		if got, ok := Generation(Name(n)); !ok || got != n {
			t.Errorf("%s: %d, %v", Name(n), got, ok)
		}
	}
	for _, name := range []string{"", "heirloom", "heirloom-", "heirloom-0", "heirloom-01", "heirloom-+1", "heirloom--1", "heirloom-1x", "web-1"} {
		if n, ok := Generation(name); ok {
			t.Errorf("%q is of generation %d", name, n)
		}
	}
}
