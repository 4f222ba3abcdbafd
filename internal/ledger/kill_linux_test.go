package ledger

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// TestKilledAt has a process die between two steps of what it does. The next
// one has each connection once, or its client sees the end of it.
func TestKilledAt(t *testing.T) {
	for name, c := range map[string]struct {
		entered bool // all of them are, each in a message of its own
		steps   func(t *testing.T, l *Ledger, conns []connected)
		adopted []int
	}{
		"a slot, and not queued yet": {steps: func(t *testing.T, l *Ledger, conns []connected) {
			for _, c := range conns {
				if !l.reserve(c.mark) {
					t.Error("no room")
				}
			}
		}},
		"queued, and no rest noted yet": {steps: func(t *testing.T, l *Ledger, conns []connected) {
			if err := l.enter(testOrigin, candidates(conns), nil); err != nil {
				t.Error(err)
			}
			for _, c := range conns[:2] {
				p := c.mark.place.Load()
				p.word.Store(uint64(newWord(p.epoch, 0, busy)))
			}
		}, adopted: []int{2}},
		"queued again, and not removed yet": {entered: true, steps: func(t *testing.T, l *Ledger, conns []connected) {
			if err := l.send(testOrigin, candidates(conns[:2])); err != nil {
				t.Error(err)
			}
		}, adopted: []int{0, 1, 2}},
		"queued again, and some removed": {entered: true, steps: func(t *testing.T, l *Ledger, conns []connected) {
			if err := l.send(testOrigin, candidates(conns)); err != nil {
				t.Error(err)
			}
			drop(t, l, 2)
		}, adopted: []int{0, 1, 2}},
		"removed, and not queued again for want of room": {entered: true, steps: func(t *testing.T, l *Ledger, _ []connected) {
			drop(t, l, 1)
		}, adopted: []int{1, 2}},
		"queued again, and closed": {entered: true, steps: func(t *testing.T, l *Ledger, conns []connected) {
			if err := l.send(testOrigin, candidates(conns)); err != nil {
				t.Error(err)
			}
			l.release(conns[0].mark)
		}, adopted: []int{1, 2}},
		"given up, and not shut down yet": {entered: true, steps: func(_ *testing.T, l *Ledger, conns []connected) {
			l.release(conns[1].mark)
		}, adopted: []int{0, 2}},
		"given up, and its slot used again": {entered: true, steps: func(t *testing.T, l *Ledger, conns []connected) {
			l.release(conns[1].mark)
			if err := l.enter(testOrigin, candidates(connect(t, 1)), nil); err != nil {
				t.Error(err)
			}
		}, adopted: []int{0, 2, -1}},
		"in the middle of the end": {entered: true, steps: func(t *testing.T, l *Ledger, _ []connected) {
			drop(t, l, 2)
		}, adopted: []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLedger(t)
			conns := connect(t, 3)
			if c.entered {
				for i := range conns {
					enter(t, l, conns[i:i+1])
				}
			}
			l.mu.Lock()
			c.steps(t, l, conns)
			l.mu.Unlock()
			for _, twice := range []bool{false, true} { // the process after that may die as well
				next := reopen(t, l)
				a, found := adopt(t, next)
				if a.Connections != len(c.adopted) {
					t.Errorf("%+v (again: %v), want %d", a, twice, len(c.adopted))
				}
				if !twice {
					die(next, found)
					continue
				}
				checkOwned(t, conns, found, c.adopted)
			}
		})
	}
}

// die has the process of l end: nothing more comes of it.
func die(l *Ledger, found []*Found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.compact.Stop()
	l.young.Stop()
	l.queue.close()
	fdutil.CloseAll([]int{l.files.Page})
	for _, f := range found {
		_ = f.Conn.Close()
	}
}

var testOrigin = origin{"http", "127.0.0.1:80"}

// drop removes the first messages from the queue.
func drop(t *testing.T, l *Ledger, n int) {
	t.Helper()
	for range n {
		if err := l.queue.drop(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkOwned checks that each connection of adopted, by its number, is found
// once, and that the others end when the process that had them is gone.
func checkOwned(t *testing.T, conns []connected, found []*Found, adopted []int) {
	t.Helper()
	left := map[string]int{}
	for _, f := range found {
		left[f.Conn.RemoteAddr().String()]++
	}
	isAdopted := map[int]bool{}
	for _, i := range adopted {
		isAdopted[i] = true
	}
	for i, c := range conns {
		if n := left[c.client.LocalAddr().String()]; isAdopted[i] && n != 1 || !isAdopted[i] && n != 0 {
			t.Errorf("connection %d is found %d times", i, n)
		}
		_ = c.Close() // as the kernel does
		if !isAdopted[i] {
			c.ended(t)
		}
	}
}
