package transfer

import (
	"bytes"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// newSecure returns a giver of 25 sessions of TLS.
func newSecure(t *testing.T) *giving {
	t.Helper()
	g, err := newGiving(10)
	if err != nil {
		t.Fatal(err)
	}
	g.endpoint.Kind = conntrack.HTTPS
	if err := g.passEach(25, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	return g
}

// next receives a message, with its sessions.
func (g *giving) next(t *testing.T) handover.Message {
	t.Helper()
	_ = g.there.SetReadDeadline(patience.Deadline(time.Minute))
	m, fds, err := g.there.Receive()
	if err != nil {
		t.Fatal(err)
	}
	fdutil.CloseAll(fds)
	if len(m.States) != len(fds) {
		t.Errorf("%d states of %d sessions", len(m.States), len(fds))
	}
	for _, state := range m.States {
		if !bytes.Equal(state, []byte("secret")) {
			t.Errorf("state %q", state)
		}
	}
	return m
}

func checkQuestion(t *testing.T, m handover.Message, count int) {
	t.Helper()
	if !isQuestion(m, nil) || len(m.States) > 0 || m.Count != count {
		t.Errorf("%d states, count %d; want the question whether there is room for %d", len(m.States), m.Count, count)
	}
}

// TestGrant has sessions wait until the successor has room, and sends no more
// than that.
func TestGrant(t *testing.T) {
	g := newSecure(t)
	go g.run()
	checkQuestion(t, g.next(t), 10)
	checkOwners(t, g, 0, 25)
	g.Accepted(4, false)
	if m := g.next(t); len(m.States) != 4 {
		t.Errorf("%d were sent, want the 4 that there was room for", len(m.States))
	}
	checkQuestion(t, g.next(t), 10)
	g.Accepted(4, false)
	g.Accepted(0, true)
	checkOwners(t, g, 21, 0)
}

// TestGrantTarget asks a successor anew that the one before has named.
func TestGrantTarget(t *testing.T) {
	g := newSecure(t)
	go g.run()
	checkQuestion(t, g.next(t), 10)
	g.SetTarget(handover.Message{})
	g.Accepted(0, true) // of the one before
	checkOwners(t, g, 25, 0)
}

// TestGrantUnknown has a successor that does not know the question: it takes as
// many as there are.
func TestGrantUnknown(t *testing.T) {
	g := newSecure(t)
	go g.run()
	checkQuestion(t, g.next(t), 10)
	g.Accepted(0, false)
	for _, want := range []int{10, 10, 5} {
		if m := g.next(t); len(m.States) != want {
			t.Errorf("%d were sent, want %d", len(m.States), want)
		}
		g.Accepted(want, false)
	}
	checkOwners(t, g, 0, 0)
}

// TestGrantLast has no time left to ask.
func TestGrantLast(t *testing.T) {
	g := newSecure(t)
	close(g.ran)
	g.SendRest()
	for _, want := range []int{10, 10, 5} {
		if m := g.next(t); len(m.States) != want {
			t.Errorf("%d were sent, want %d", len(m.States), want)
		}
	}
	checkOwners(t, g, 0, 25)
}

// TestGrantLost has the successor die before it has answered.
func TestGrantLost(t *testing.T) {
	g := newSecure(t)
	go g.run()
	checkQuestion(t, g.next(t), 10)
	g.Lose()
	checkOwners(t, g, 25, 0)
}

// TestGrantLater has no memory for the question at first.
func TestGrantLater(t *testing.T) {
	g := newSecure(t)
	lacking, send := 2, g.send
	g.send = func(m handover.Message, fds ...int) error {
		if lacking > 0 {
			lacking--
			return os.NewSyscallError("sendmsg", unix.ENOBUFS)
		}
		return send(m, fds...)
	}
	go g.run()
	checkQuestion(t, g.next(t), 10)
	g.Accepted(10, false)
	if m := g.next(t); len(m.States) != 10 {
		t.Errorf("%d were sent, want the 10 that there was room for", len(m.States))
	}
	g.Lose()
	checkOwners(t, g, 25, 0)
}

// TestAnswer is asked for room.
func TestAnswer(t *testing.T) {
	predecessor, here := handoverPair(t)
	h := newHome()
	c, _ := h.accept(t, "http")
	c.Endpoint.Kind = conntrack.HTTPS
	r, _ := arrivalsAt(t, c.Endpoint)
	ask := func(name string, count int) handover.Message {
		m := messageFor(c.Endpoint)
		m.Listener, m.Count = name, count
		if err := predecessor.TrySend(m); err != nil {
			t.Fatal(err)
		}
		m, fds, err := Next(here, nil)
		if err != nil || len(fds) > 0 || !r.Take(here, nil, 1, m, fds, false) {
			t.Fatal(err)
		}
		answer, _, err := predecessor.TryReceive()
		if err != nil || answer.Type != handover.Accepted {
			t.Fatal(answer.Type, err)
		}
		return answer
	}
	if m := ask("http", 7); m.Count != 7 || m.Reason != "" {
		t.Errorf("answered %+v", m)
	}
	if m := ask("gone", 7); m.Count != 0 || m.Reason == "" {
		t.Errorf("for a listener that is not served: answered %+v", m)
	}
	if m := ask("http", math.MaxInt32); m.Count > handover.MaxDescriptors {
		t.Errorf("answered %+v", m)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
	for _, cur := range []uint64{100, 3} {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: cur, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		if m := ask("http", 200); m.Count >= 100 || cur == 3 && m.Count > 0 || (m.Reason != "") != (m.Count == 0) {
			t.Errorf("with RLIMIT_NOFILE %d: answered %+v", cur, m)
		}
	}
}

// TestGrantIsForWhatWaited: room that the successor had when it was asked is not
// relied on later.
func TestGrantIsForWhatWaited(t *testing.T) {
	g, err := newGiving(10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	var target handover.Message
	target.Listeners, target.Sessions, target.SessionFormat = []string{"http"}, []string{"https"}, tlsmove.Format
	g.SetTarget(target)
	secure := &conntrack.Endpoint{Registry: g.conns, Listener: g.endpoint.Listener, Name: "https", Kind: conntrack.HTTPS, Movable: true}
	pass := func(e *conntrack.Endpoint) {
		client, err := net.Dial("tcp", g.endpoint.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		g.clients = append(g.clients, client)
		nc, err := g.endpoint.Listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := &passed{conntrack.Info{Raw: nc, Endpoint: e, Left: []byte("state")}}
		g.conns.Add(c)
		g.Pass(c)
	}
	pass(secure)
	for range 9 {
		pass(g.endpoint)
	}
	go g.run()
	receive := func() (handover.Message, int) {
		_ = g.there.SetReadDeadline(patience.Deadline(time.Minute))
		m, fds, err := g.there.Receive()
		if err != nil {
			t.Fatal(err)
		}
		fdutil.CloseAll(fds)
		return m, len(fds)
	}
	question, _ := receive()
	g.Accepted(question.Count, false) // room for all of them
	for range 2 {
		_, n := receive()
		g.Accepted(n, false)
	}
	pass(secure) // later, when there may be no room any more
	_, n := receive()
	if n > 0 {
		t.Error("a session is sent without a question")
	}
	g.Accepted(n, false)
}
