package ledger

import (
	"sync/atomic"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// A Mark follows one connection of TCP: how much of it was read, and since when
// it is at rest. The zero value is one of a connection that was accepted here
// just now, of which nothing was read.
//
// Took and Rest belong to whoever reads from the connection. They take no lock
// and allocate nothing.
type Mark struct {
	taken uint64                // bytes that were read
	noted atomic.Uint64         // a word without an epoch: when the connection was at rest last
	place atomic.Pointer[place] // set before stage is kept
	stage atomic.Int32
	plain bool // BeginAt has seen that the kernel counts what is read

	wrote *wrote // nil without CountWritten

	// Guarded by Ledger.mu.
	message *message // of the queue in which its duplicate is, nil if in none
	at      int      // the number of its entry
}

// A wrote is what was written to a connection.
type wrote struct {
	bytes atomic.Uint64
	noted atomic.Uint64 // a word without an epoch, as Mark.noted, until there is a slot
}

// The stages of a Mark.
const (
	fresh   int32 = iota // it may be entered
	passed               // it was looked at, and had never come back to rest
	kept                 // it has a slot
	refused              // it cannot be kept
	gone                 // it is closed, or leaves the process
)

// A place is the slot of a connection. It is never written to.
type place struct {
	ledger *Ledger
	word   *atomic.Uint64
	entry
}

// Took counts bytes that were read from the connection.
func (m *Mark) Took(n int) { m.taken += uint64(n) }

// CountWritten has Rest note how many bytes were written as well. So the next
// process can tell whether a response had begun. It is called before the
// connection is used.
func (m *Mark) CountWritten() { m.wrote = new(wrote) }

// Wrote counts bytes that were written to the connection, of which CountWritten
// was called. Goroutines may share it. If some are written without being counted
// every response seems to have begun.
func (m *Mark) Wrote(n int) { m.wrote.bytes.Add(uint64(n)) }

// Rest notes that the connection is at rest. It reports whether the connection
// was passed over before, and may be entered from now on.
func (m *Mark) Rest() (again bool) {
	w := newWord(0, m.taken, rest)
	m.noted.Store(uint64(w))
	p := m.place.Load()
	if p != nil {
		p.note(w)
	}
	if m.wrote != nil {
		m.noteWritten(p)
	}
	return m.stage.Load() == passed && m.stage.CompareAndSwap(passed, fresh)
}

// noteWritten notes how much was written until this rest. It comes after the
// note of what was read. A process that is killed between the two leaves the
// count of an earlier rest, and to that something was added since: the response
// to the request that was read. In the other order that response would seem not
// to have begun.
func (m *Mark) noteWritten(p *place) {
	w := newWord(0, m.wrote.bytes.Load(), rest)
	if p == nil {
		m.wrote.noted.Store(uint64(w))
		return
	}
	// If the slot has another owner by now, this is not of its epoch, and says
	// nothing of that one.
	p.written().Store(uint64(w | newWord(p.epoch, 0, 0)))
}

// reserveWritten does the same in a slot that m has just got, unless m does so
// itself at this moment. It comes after the note of what was read. If m comes to
// rest in between, the count may be that of an earlier rest.
func (p *place) reserveWritten(m *Mark) {
	if m.wrote == nil {
		return
	}
	old := p.written().Load()
	if w := word(m.wrote.noted.Load()); w.state() == rest {
		p.written().CompareAndSwap(old, uint64(w|newWord(p.epoch, 0, 0)))
	}
}

func (p *place) written() *atomic.Uint64 { return p.ledger.page.written(p.slot) }

// note writes w into the slot, unless the slot has another owner by now.
func (p *place) note(w word) {
	w |= newWord(p.epoch, 0, 0)
	for {
		old := word(p.word.Load())
		if old.epoch() != p.epoch || old.state() == free || p.word.CompareAndSwap(uint64(old), uint64(w)) {
			return
		}
	}
}

// Noted returns how much had been read when the connection came to rest last.
// rested is false if it never did.
func (m *Mark) Noted() (taken uint64, rested bool) {
	w := word(m.noted.Load())
	return w.count(), w.state() == rest
}

// PassOver leaves out the connection until it comes to rest: see Rest. Whoever
// calls it has seen that it is not at rest, and must look again afterwards.
func (m *Mark) PassOver() { m.stage.CompareAndSwap(fresh, passed) }

// Reconsider undoes PassOver, and reports whether there was anything to undo.
func (m *Mark) Reconsider() bool { return m.stage.CompareAndSwap(passed, fresh) }

// BeginAt is for a connection that another process has accepted, and that was at
// rest there, before anybody reads from it here. It asks the kernel how much was
// read there, and notes that the connection is at rest. Where that cannot be
// known the connection is not kept.
func (m *Mark) BeginAt(c syscall.Conn) {
	known := false
	_ = control(c, func(fd int) { m.taken, known = fdutil.TakenFrom(fd) })
	if !known {
		m.stage.CompareAndSwap(fresh, refused)
		return
	}
	m.plain = true
	m.noted.Store(uint64(newWord(0, m.taken, rest)))
	m.beginWritten(c)
}

// beginWritten asks the kernel how much was written to a connection that is at
// rest, if that is counted, and notes it.
func (m *Mark) beginWritten(c syscall.Conn) {
	if m.wrote == nil {
		return
	}
	_ = control(c, func(fd int) {
		n, _ := fdutil.WrittenTo(fd)
		m.wrote.bytes.Store(n)
	})
	m.noteWritten(m.place.Load())
}

// Close is called before a connection is closed, or leaves the process. It
// reports whether the queue has a duplicate: if the connection is to end, it
// must be shut down (shutdown(2)). A second call reports false.
func (m *Mark) Close() (shutDown bool) {
	if m.stage.Swap(gone) != kept {
		return false
	}
	return m.place.Load().ledger.forget(m)
}

// control calls f with the descriptor of c.
func control(c syscall.Conn, f func(fd int)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
