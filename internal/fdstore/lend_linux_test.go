package fdstore

import (
	"errors"
	"testing"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/transfer"
	"github.com/heirloom-go/heirloom/notify"
)

// An unheard is a manager that does not listen to the process.
type unheard struct{ *manager }

func (unheard) Tell(...notify.State) {}

func (unheard) Notify(...notify.State) error { return nil }

// TestLend has a generation to which the manager does not listen leave a state
// to the next one, in a socket that the generation before has stored.
func TestLend(t *testing.T) {
	m := newManager(t, 16)
	first := m.generation(1, &Found{})
	first.Save(nil, nil)
	socket, err := first.Lend()
	if err != nil {
		t.Fatal(err)
	}
	second := m.generation(2, &Found{})
	second.Manager = unheard{m}
	if err := second.Borrow(socket); err != nil {
		t.Fatal(err)
	}
	first.Close()
	if !second.Save(nil, nil) {
		t.Error("what is borrowed is not kept")
	}
	q := second.NeededQueue()
	if q == nil {
		t.Fatal("nothing can be queued in what is borrowed")
	}
	state := handover.Message{Type: handover.State}
	if err := q.Send(func(send transfer.SendFunc) error { return send(state) }); err != nil {
		t.Fatal(err)
	}
	second.Close()
	m.check("in the end", "heirloom-1", "heirloom-2")
	states := 0
	found := Find(m.give(), nil, func(handover.Message, []int) { states++ }, second.Log)
	for _, e := range found.Entries {
		_ = e.Conn.Close()
	}
	if states != 1 || found.Next != 3 {
		t.Errorf("found %d states, and the next generation is %d", states, found.Next)
	}
}

// TestLendRefused has no store.
func TestLendRefused(t *testing.T) {
	m := newManager(t, 0)
	if _, err := m.generation(1, &Found{}).Lend(); !errors.Is(err, transfer.ErrNotKept) {
		t.Errorf("lent a socket for which there is no room: %v", err)
	}
}

// TestLendTheOnlyRoom has a store that is full of what the generation itself has
// in it. The next one has heard of a socket which is then not kept any more, and
// stores its own.
func TestLendTheOnlyRoom(t *testing.T) {
	m := newManager(t, 1)
	first := m.generation(1, &Found{})
	first.Save(nil, nil)
	socket, err := first.Lend()
	if err != nil {
		t.Fatal(err)
	}
	m.check("what was lent", "heirloom-2")
	second := m.generation(2, &Found{})
	if err := second.Borrow(socket); err != nil {
		t.Fatal(err)
	}
	m.Tell(notify.FDStoreRemove(Name(2)))
	if got := m.names(); len(got) > 0 {
		t.Fatalf("stored are %q, want nothing", got)
	}
	if !second.Save(nil, nil) || second.NeededQueue() == nil {
		t.Error("a store that has room keeps nothing")
	}
	m.check("in the end", "heirloom-2")
}
