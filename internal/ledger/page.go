package ledger

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// ErrMalformed is matched by the errors for descriptors that are not those of a
// Ledger, or of one that this version does not know.
var ErrMalformed = errors.New("not a ledger")

// The page is slots of a cache line each. Slot 0 is its header. Of the others
// the first word says what was read, and the second what was written. That one
// came later: a build that does not know it leaves it as it is.
const (
	slotSize = 64
	minSlots = 1 << 10
	maxSlots = 1 << 20
	magic    = 0x6865_6972_6c6f_0001 // the last number is the version
)

// The fields of the header, of eight bytes each.
const (
	fieldMagic   = iota
	fieldHighest // the highest slot that was ever used
	fieldDeaths  // how many processes in a row have died young
)

// A page is the memory that the process shares with whoever opens it next.
// Nothing in it can be relied on: the process that wrote it has crashed.
//
// Before a page is used, its size must be checked by check.
type page []byte

func (p page) slots() uint32 { return uint32(len(p) / slotSize) }

func (p page) field(i int) *atomic.Uint64 { return p.at(8 * i) }

// slot returns the word of a slot, which must be below slots.
func (p page) slot(i uint32) *atomic.Uint64 { return p.at(int(i) * slotSize) }

// written returns the second word of such a slot.
func (p page) written(i uint32) *atomic.Uint64 { return p.at(int(i)*slotSize + 8) }

// at returns a word of the page, which begins on a border of words.
func (p page) at(offset int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&p[offset]))
}

func (p page) begin() { p.field(fieldMagic).Store(magic) }

// check returns an error that matches ErrMalformed if p is not the page of a
// Ledger.
func (p page) check() error {
	switch {
	case len(p)%slotSize != 0 || len(p)/slotSize < 2 || len(p)/slotSize > maxSlots:
		return fmt.Errorf("%w: a page of %d bytes", ErrMalformed, len(p))
	case p.field(fieldMagic).Load() != magic:
		return fmt.Errorf("%w: the page begins with %#x", ErrMalformed, p.field(fieldMagic).Load())
	case p.field(fieldHighest).Load() >= uint64(p.slots()):
		return fmt.Errorf("%w: slot %d of %d is in use", ErrMalformed, p.field(fieldHighest).Load(), p.slots())
	}
	return nil
}

// find returns what the slot of e says, if it belongs to e still.
func (p page) find(e entry) (w word, found bool) {
	if e.slot == 0 || e.slot >= p.slots() {
		return 0, false
	}
	w = word(p.slot(e.slot).Load())
	return w, w.state() != free && w.epoch() == e.epoch
}

// isUnanswered reports whether nothing was written to the connection of e, which
// has its slot, since it was at rest, when so many bytes were in all. It reports
// false if the page does not say how many had been by then.
func (p page) isUnanswered(e entry, written uint64) bool {
	w := word(p.written(e.slot).Load())
	return w.epoch() == e.epoch && w.state() == rest && w.isSame(written)
}

// A state is that of a slot.
type state uint64

const (
	free state = iota
	busy       // the connection has not been at rest yet
	rest       // it was at rest when so many bytes were read as the word says
)

// A word is what a slot holds: the epoch of the slot, which tells the
// connection that has it from those that had it before, then how many bytes of
// the connection were read, and the state. In the second word of the slot the
// count is that of the bytes written, and the state rest.
//
//	epoch 24 bits | count 38 bits | state 2 bits
type word uint64

const (
	stateBits = 2
	countBits = 38
	epochBits = 24

	countMask = 1<<countBits - 1
	epochMask = 1<<epochBits - 1
)

func newWord(epoch uint32, count uint64, s state) word {
	return word(uint64(epoch)<<(countBits+stateBits) | count&countMask<<stateBits | uint64(s))
}

func (w word) epoch() uint32 { return uint32(w >> (countBits + stateBits)) }
func (w word) count() uint64 { return uint64(w) >> stateBits & countMask }
func (w word) state() state  { return state(w & (1<<stateBits - 1)) }

// isSame reports whether a count of the kernel's is that of w, which wraps
// around after 256 gigabytes.
func (w word) isSame(count uint64) bool { return w.count() == count&countMask }
