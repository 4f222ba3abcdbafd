package ledger

import (
	"net"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

const (
	// maxDeaths is how many processes in a row may die young before their
	// connections are suspected.
	maxDeaths = 5
	// youth is how long a process must live to be no such one.
	youth = time.Second
	// spareDescriptors are those that the connections leave to the process.
	spareDescriptors = 16
)

// A Found is a connection that was at rest when its process died, or that had
// come no further than a request: see Taker.
type Found struct {
	Listener, Address string   // that accepted it
	Conn              net.Conn // of TCP

	adoption *adoption
	candidate
}

// A candidate is what is known of a Found.
type candidate struct {
	entry
	taken   uint64
	message *message
	at      int
}

// IsNew reports whether the connection has had no request until it was at rest.
func (f *Found) IsNew() bool { return f.taken == 0 }

// Keep has m follow the connection. Only the function that Adopt calls may call
// it, and before anybody reads from the connection or closes it.
func (f *Found) Keep(m *Mark) {
	conn, ok := f.Conn.(syscall.Conn)
	if !ok {
		return
	}
	l := f.adoption.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	m.taken = f.taken
	m.noted.Store(uint64(newWord(0, f.taken, rest)))
	m.place.Store(&place{l, l.page.slot(f.slot), f.entry})
	m.beginWritten(conn)
	m.message, m.at = f.message, f.at
	f.message.entries[f.at] = Candidate{m, conn}
	m.stage.Store(kept)
	l.live++
	f.adoption.adopted[f.slot] = m
}

// An Adopted says what became of the connections of a process that died.
type Adopted struct {
	Connections int // that go on
	Cut         int // closed, since a request had begun
	Answered    int // of Cut, those whose request was answered
	Lost        int // closed, since nobody serves them here or there is no room
	// Dropped says that several processes in a row have died young, and that
	// all connections were closed, since one of them may be the reason.
	Dropped bool
}

// A Cut is a connection that is closed since a request had begun.
type Cut struct {
	Listener, Address string // that accepted it
	Remote            string // the address of the client, "" if it is not known
	// Read is how many bytes were read since it was at rest. It is zero if it
	// has never been at rest, or has ended.
	Read     uint64
	Answered bool
}

// A Taker decides what becomes of connections. Answer and Cut may be nil. Take
// and Answer own the connection if they return true. If they return false it is
// closed.
type Taker struct {
	// Take is called with each connection that was at rest. If it returns true
	// it has called Keep.
	Take func(*Found) bool
	// Answer is called with each connection of which something of a request was
	// read, while nothing of the response was written. If it returns true it
	// ends the connection, by shutdown(2): the queue has a duplicate. It does
	// not call Keep.
	Answer func(*Found) bool
	// Cut is told of the connections that are closed since a request had begun,
	// and of those that were answered.
	Cut func(Cut)
}

// An adoption is a call of Adopt.
type adoption struct {
	*Ledger
	Taker
	drop    bool
	adopted map[uint32]*Mark // by slot
	mould   *handover.Mould
	result  Adopted
}

// Adopt has t decide about each connection of the process before, which has
// died.
//
// The process may be killed at any time. The next one then finds everything as
// it was, but for what happened to the connections themselves. An error says
// that the queue could not be read to its end: then l has ended. After End
// nothing is found.
func (l *Ledger) Adopt(t Taker) (Adopted, error) {
	a := &adoption{Ledger: l, Taker: t, adopted: make(map[uint32]*Mark)}
	if !l.beginLooking() {
		return a.result, nil
	}
	a.drop = l.countDeath()
	a.result.Dropped = a.drop
	a.mould = handover.NewMould()
	defer a.mould.Close()
	err := l.queue.look(a.visit)
	a.finish(err)
	return a.result, err
}

// ExpectAdopt says that Adopt is about to be called, perhaps by a goroutine that
// takes its time: an End that comes first waits for it.
func (l *Ledger) ExpectAdopt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = true
}

// beginLooking reports false if l has ended.
func (l *Ledger) beginLooking() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = true
	return !l.ended
}

// countDeath counts the process before this one among those that died young,
// until this one has lived long enough. It reports whether there were too many.
func (l *Ledger) countDeath() bool {
	deaths := l.page.field(fieldDeaths).Load() + 1
	l.page.field(fieldDeaths).Store(deaths)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.young = time.AfterFunc(l.youth, func() { l.page.field(fieldDeaths).Store(0) })
	return deaths > maxDeaths || deaths == 0
}

// visit is told of each message in the queue, and owns the descriptors.
func (a *adoption) visit(payload []byte, fds []int) {
	o, entries, err := decode(payload)
	if err != nil {
		entries = nil
	}
	m := &message{o, make([]Candidate, len(entries))}
	a.mu.Lock()
	a.messages = append(a.messages, m)
	a.total += len(entries)
	a.mu.Unlock()
	if n := a.room(fds); n < len(fds) {
		fdutil.CloseAll(fds[n:])
		fds = fds[:n]
	}
	for i, e := range entries {
		if i < len(fds) {
			a.visitOne(candidate{entry: e, message: m, at: i}, fds[i])
		} else if w, found := a.page.find(e); found && a.adopted[e.slot] == nil {
			a.clear(w, e)
			a.result.Lost++
		}
	}
	if len(fds) > len(entries) {
		fdutil.CloseAll(fds[len(entries):])
	}
}

// room returns how many of fds may be kept open.
func (a *adoption) room(fds []int) int {
	return max(0, len(fds)-spareDescriptors+fdutil.Free(a.files.Read, spareDescriptors))
}

// visitOne judges one connection, whose descriptor it owns.
func (a *adoption) visitOne(c candidate, fd int) {
	w, found := a.page.find(c.entry)
	again := a.adopted[c.slot]
	switch {
	case !found: // it was closed, or its slot has another owner
		fdutil.CloseAll([]int{fd})
		return
	case again != nil:
		fdutil.CloseAll([]int{fd})
		a.moveTo(again, c)
		return
	}
	taken, known := fdutil.TakenFrom(fd)
	if !known || a.drop || w.state() != rest || !w.isSame(taken) {
		a.clear(w, c.entry) // first, so that it is answered once, whoever dies when
		a.result.Cut++
		a.close(fd, c, w, taken, known)
		return
	}
	c.taken = taken
	if a.offer(fd, c, a.Take) {
		a.result.Connections++
		return
	}
	a.clear(w, c.entry)
	a.result.Lost++
}

// offer asks to whether it takes a connection, whose descriptor offer owns. If
// not, the connection ends wherever it is open.
func (a *adoption) offer(fd int, c candidate, to func(*Found) bool) bool {
	nc, err := a.mould.NetConn(fd)
	if err != nil {
		return false
	}
	if to(&Found{Listener: c.message.listener, Address: c.message.address, Conn: nc, adoption: a, candidate: c}) {
		return true
	}
	if conn, ok := nc.(syscall.Conn); ok {
		_ = control(conn, shutDown)
	}
	_ = nc.Close()
	return false
}

// clear makes the slot of an entry free that belongs to nobody here.
func (a *adoption) clear(w word, e entry) {
	a.page.slot(e.slot).CompareAndSwap(uint64(w), uint64(newWord(e.epoch, 0, free)))
}

// moveTo says that a connection which is in the queue twice is to be in the
// later message.
func (a *adoption) moveTo(m *Mark, c candidate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.message == nil {
		return // it was closed
	}
	old := m.message.entries[m.at]
	a.leave(m)
	c.message.entries[c.at] = old
	m.message, m.at = c.message, c.at
}

// finish counts which slots are free, and removes from the queue what is dead:
// nobody else would ever close those connections.
func (a *adoption) finish(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	highest := uint32(a.page.field(fieldHighest).Load())
	for slot := range a.adopted {
		highest = max(highest, slot)
	}
	a.page.field(fieldHighest).Store(uint64(highest))
	a.unused = nil
	for slot := highest; slot > 0; slot-- {
		w := word(a.page.slot(slot).Load())
		switch {
		case a.adopted[slot] != nil && w.state() != free: // or about to be: see forget
			continue
		case w.state() != free:
			a.clear(w, entry{slot, w.epoch()})
		}
		a.unused = append(a.unused, slot)
	}
	a.adopting = false
	switch {
	case a.passing || err != nil:
		a.end()
	case a.total > a.live || a.isStale():
		a.compactAll()
	}
}

// close ends a connection of which a request was read, and owns fd.
func (a *adoption) close(fd int, c candidate, w word, taken uint64, known bool) {
	cut := Cut{Listener: c.message.listener, Address: c.message.address, Remote: remote(fd)}
	if known && w.state() == rest {
		cut.Read = (taken - w.count()) & countMask
	}
	if cut.Read > 0 && !a.drop && a.Answer != nil && a.isUnanswered(fd, c.entry) {
		c.taken = w.count()
		if cut.Answered = a.offer(fd, c, a.Answer); cut.Answered {
			a.result.Answered++
		}
	} else {
		shutDown(fd)
		fdutil.CloseAll([]int{fd})
	}
	if a.Cut != nil {
		a.Cut(cut)
	}
}

// isUnanswered reports whether the response to a request had not begun.
func (a *adoption) isUnanswered(fd int, e entry) bool {
	written, known := fdutil.WrittenTo(fd)
	return known && a.page.isUnanswered(e, written)
}
