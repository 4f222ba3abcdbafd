package ledger

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// errFull is the error for connections for which there is no room.
var errFull = errors.New("as many connections are kept as the limit on descriptors allows")

// A Files are the descriptors of a Ledger: the page, and the ends of the queue
// to read from and to write to. The ends are alike, so Open may be given them
// in either order.
type Files struct{ Page, Read, Write int }

// A Ledger keeps connections of this process for the next one. Goroutines may
// share it.
//
// The memory of its page is never unmapped, since a connection may write to its
// slot at any time. So a process has one Ledger, or a few.
type Ledger struct {
	files Files
	page  page
	queue queue
	limit int // RLIMIT_NOFILE, 0 if it is not known

	pauses

	mu       sync.Mutex
	unused   []uint32   // slots
	messages []*message // in the queue, in order
	total    int        // entries in messages
	live     int        // connections that have a slot
	refused  uint64
	adopting bool // Adopt has not returned yet
	looking  bool // Adopt was called, or is about to be
	passing  bool // connections may be in another process as well
	ended    bool
	growth   int         // how many messages there may be before the next compaction
	toPass   int         // messages that the compaction has still to pass
	compact  *time.Timer // runs compactSome
	tidying  bool        // compact is set, since something is dead
	young    *time.Timer // until this process has lived long enough, nil if it did not adopt
}

// pauses are the constants of these names, but for tests.
type pauses struct{ tidyAfter, youth time.Duration }

// A message is one in the queue.
type message struct {
	origin
	entries []Candidate // the Mark is nil where the duplicate is not needed any more
}

// A Candidate is a connection that may be kept.
type Candidate struct {
	Mark *Mark
	Conn syscall.Conn // of TCP
}

// New makes a Ledger for about as many connections as the process may have.
// Without Linux the error matches errors.ErrUnsupported.
func New() (*Ledger, error) {
	p, fd, err := newPage(min(max(fdutil.Limit(), minSlots), maxSlots))
	if err != nil {
		return nil, err
	}
	q, err := newQueue()
	if err != nil {
		fdutil.CloseAll([]int{fd})
		return nil, err
	}
	p.begin()
	return newLedger(p, q, Files{fd, q.read, q.write}), nil
}

// Open goes on with the Ledger of a process that has died. It owns the files,
// also if it fails. The error matches ErrMalformed if they are not those of a
// Ledger. Nothing can be entered until Adopt has returned.
func Open(f Files) (*Ledger, error) {
	p, err := openPage(f.Page)
	if err == nil {
		err = p.check()
	}
	q := queue{f.Read, f.Write}
	if err == nil {
		err = q.check()
	}
	if err != nil {
		fdutil.CloseAll([]int{f.Page, f.Read, f.Write})
		return nil, err
	}
	l := newLedger(p, q, Files{f.Page, q.read, q.write})
	l.adopting = true
	return l, nil
}

func newLedger(p page, q queue, f Files) *Ledger {
	l := &Ledger{files: f, page: p, queue: q, limit: fdutil.Limit(), pauses: pauses{tidyAfter, youth}, growth: spareMessages}
	l.compact = time.AfterFunc(time.Hour, l.compactSome)
	l.compact.Stop()
	return l
}

// Files returns the descriptors for the service manager to duplicate. They stay
// the Ledger's, until End.
func (l *Ledger) Files() Files { return l.files }

// Stats says what is kept.
type Stats struct {
	Kept    int    // connections
	Refused uint64 // connections for which there was no room, or that have no count
}

// Stats returns the counts of this moment.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{l.live, l.refused}
}

// IsAdopting reports whether Enter does nothing yet.
func (l *Ledger) IsAdopting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.adopting
}

// Enter keeps connections that the listener of that name and address has
// accepted. Those that are kept already, or were closed, are left out. An error
// says why some are refused: they are not kept, and are not to be entered
// again.
func (l *Ledger) Enter(listener, address string, some []Candidate) error {
	o := origin{listener, address}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.adopting || l.passing || l.ended {
		return nil
	}
	failed := o.check()
	for chunk := range slices.Chunk(some, maxBatch) {
		if err := l.enter(o, chunk, failed); err != nil {
			failed = err
		}
	}
	l.compactSoon()
	return failed
}

// enter sends one message. It refuses all connections if reason is not nil.
func (l *Ledger) enter(o origin, some []Candidate, reason error) error {
	sent := make([]Candidate, 0, len(some))
	for _, c := range some {
		switch {
		case c.Mark.stage.Load() != fresh:
		case !c.Mark.plain && !isPlain(c.Conn):
			l.refuse(c.Mark, fresh)
		case reason != nil:
			l.refuse(c.Mark, fresh)
		case l.total+len(sent) >= l.maxQueued() || !l.reserve(c.Mark):
			reason = errFull
			l.refuse(c.Mark, fresh)
		default:
			sent = append(sent, c)
		}
	}
	if err := l.send(o, sent); err != nil {
		for _, c := range sent {
			l.refuse(c.Mark, kept)
		}
		return err
	}
	return reason
}

// isPlain reports whether the kernel counts what is read from c.
func isPlain(c syscall.Conn) bool {
	plain := false
	_ = control(c, func(fd int) { plain = fdutil.IsTCP(fd) })
	return plain
}

// refuse gives up a connection whose Mark is at that stage.
func (l *Ledger) refuse(m *Mark, stage int32) {
	if !m.stage.CompareAndSwap(stage, refused) {
		return // it was closed, and Close waits for us
	}
	l.refused++
	if stage == kept {
		l.release(m)
	}
}

// reserve gives a connection a slot. It reports false if there is none left. One
// that was closed just now has got none.
func (l *Ledger) reserve(m *Mark) bool {
	slot, ok := l.newSlot()
	if !ok {
		return false
	}
	epoch := (word(l.page.slot(slot).Load()).epoch() + 1) & epochMask
	p := &place{l, l.page.slot(slot), entry{slot, epoch}}
	first := newWord(epoch, 0, busy)
	p.word.Store(uint64(first))
	m.place.Store(p)
	if !m.stage.CompareAndSwap(fresh, kept) {
		l.discard(p)
		return true
	}
	l.live++
	if w := word(m.noted.Load()); w.state() == rest { // else Rest says so itself
		p.word.CompareAndSwap(uint64(first), uint64(w|newWord(epoch, 0, 0)))
	}
	p.reserveWritten(m)
	return true
}

func (l *Ledger) newSlot() (slot uint32, ok bool) {
	if n := len(l.unused); n > 0 {
		slot = l.unused[n-1]
		l.unused = l.unused[:n-1]
		return slot, true
	}
	next := l.page.field(fieldHighest).Load() + 1
	if next >= uint64(l.page.slots()) {
		return 0, false
	}
	l.page.field(fieldHighest).Store(next)
	return uint32(next), true
}

// discard makes the slot of p free. Its epoch stays, for the next owner.
func (l *Ledger) discard(p *place) {
	p.word.Store(uint64(newWord(p.epoch, 0, free)))
	l.unused = append(l.unused, p.slot)
}

// release takes the slot from a connection that had one, and its entry.
func (l *Ledger) release(m *Mark) {
	l.discard(m.place.Load())
	l.live--
	l.leave(m)
}

// leave says that the duplicate in the queue is not needed.
func (l *Ledger) leave(m *Mark) {
	if m.message != nil {
		m.message.entries[m.at] = Candidate{}
		m.message = nil
	}
}

// forget is the end of a Mark that was kept: see Mark.Close.
func (l *Ledger) forget(m *Mark) (shutDown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	shutDown = m.message != nil && !l.passing
	l.release(m)
	l.compactSoon()
	return shutDown
}

// send queues duplicates of connections that have slots. Those that were closed
// meanwhile are left out.
func (l *Ledger) send(o origin, some []Candidate) error {
	return lend(some, func(fds []int, lent []Candidate) error {
		if len(lent) == 0 {
			return nil
		}
		entries := make([]entry, len(lent))
		for i, c := range lent {
			entries[i] = c.Mark.place.Load().entry
		}
		if err := l.queue.send(encode(o, entries), fds); err != nil {
			return err
		}
		m := &message{o, slices.Clone(lent)}
		for i, c := range lent {
			l.leave(c.Mark)
			c.Mark.message, c.Mark.at = m, i
		}
		l.messages = append(l.messages, m)
		l.total += len(lent)
		return nil
	})
}

// lend calls f with the descriptors of the connections that are open and kept.
// None of them is closed before f returns, though Close waits for that.
func lend(some []Candidate, f func(fds []int, lent []Candidate) error) error {
	fds := make([]int, 0, len(some))
	lent := make([]Candidate, 0, len(some))
	var next func(left []Candidate) error
	next = func(left []Candidate) error {
		for i, c := range left {
			if c.Mark.stage.Load() != kept {
				continue
			}
			var sendErr error
			if err := control(c.Conn, func(fd int) {
				fds, lent = append(fds, fd), append(lent, c)
				sendErr = next(left[i+1:])
			}); err == nil {
				return sendErr
			}
		}
		return f(fds, lent)
	}
	return next(some)
}

// maxQueued is how many descriptors there may be in the queue. The kernel
// counts those of all processes of a user together against RLIMIT_NOFILE, and
// then refuses to queue more (ETOOMANYREFS in unix(7)). Some must be left for
// connections that move.
func (l *Ledger) maxQueued() int {
	if l.limit > 0 {
		return l.limit / 4 * 3
	}
	return maxSlots
}

// End removes every connection from the queue, and closes the descriptors of
// l: from now on connections may go to another process. The service manager
// must be told to forget its own. Nothing is kept any more, and a second call
// does nothing.
//
// While Adopt is under way that has to wait until it is done. Until then a
// connection is taken out of l when it is closed or leaves the process, without
// being shut down.
func (l *Ledger) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing = true
	if !l.adopting || !l.looking {
		l.end()
	}
}

func (l *Ledger) end() {
	if l.ended {
		return
	}
	l.ended = true
	l.compact.Stop()
	if l.young != nil && l.young.Stop() { // the process does not die
		l.page.field(fieldDeaths).Store(0)
	}
	for l.queue.drop() == nil {
	}
	l.messages, l.unused, l.total, l.live = nil, nil, 0, 0
	l.queue.close()
	fdutil.CloseAll([]int{l.files.Page})
}
