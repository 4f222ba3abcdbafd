package ledger

import (
	"errors"
	"reflect"
	"testing"
	"unsafe"
)

// newTestPage returns a page of so many slots in the memory of this process.
func newTestPage(slots int) page {
	words := make([]uint64, slots*slotSize/8)
	p := page(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), slots*slotSize))
	p.begin()
	return p
}

func TestWord(t *testing.T) {
	for _, epoch := range []uint32{0, 1, epochMask} {
		for _, count := range []uint64{0, 1, countMask, countMask + 1, 1 << 60} {
			for _, s := range []state{free, busy, rest} {
				w := newWord(epoch, count, s)
				if w.epoch() != epoch || w.count() != count&countMask || w.state() != s || !w.isSame(count) || w.isSame(count+1) {
					t.Errorf("newWord(%d, %d, %d) is epoch %d, count %d, state %d", epoch, count, s, w.epoch(), w.count(), w.state())
				}
			}
		}
	}
}

func TestPageCheck(t *testing.T) {
	otherMagic, tooHigh := newTestPage(4), newTestPage(4)
	otherMagic.field(fieldMagic).Store(magic + 1)
	tooHigh.field(fieldHighest).Store(4)
	for name, test := range map[string]struct {
		page page
		ok   bool
	}{
		"good":           {newTestPage(4), true},
		"nothing":        {nil, false},
		"a header alone": {newTestPage(1), false},
		"half a slot":    {newTestPage(4)[:3*slotSize+8], false},
		"another magic":  {otherMagic, false},
		"too many slots": {tooHigh, false},
	} {
		if err := test.page.check(); test.ok != (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPage has a page say anything. Nothing in it is found but slots that are
// there, and by their epoch.
func FuzzPage(f *testing.F) {
	f.Add([]byte(newTestPage(2)), uint32(1), uint32(1))
	f.Fuzz(func(t *testing.T, data []byte, slot, epoch uint32) {
		p := newTestPage(len(data)/slotSize + 1)[:len(data)]
		copy(p, data)
		if p.check() != nil {
			return
		}
		e := entry{slot, epoch}
		w, found := p.find(e)
		if found && p.isUnanswered(e, 0) && word(p.written(slot).Load()).epoch() != epoch {
			t.Errorf("slot %d says what another owner has written", slot)
		}
		if found && (slot == 0 || slot >= p.slots() || w.epoch() != epoch || w.state() == free) {
			t.Errorf("found %v in slot %d", w, slot)
		}
	})
}

func TestMessage(t *testing.T) {
	o := origin{"http", "127.0.0.1:8080"}
	want := []entry{{1, 2}, {maxSlots - 1, epochMask}, {0, 0}}
	got, entries, err := decode(encode(o, want))
	if err != nil || got != o || !reflect.DeepEqual(entries, want) {
		t.Errorf("%v %v %v", got, entries, err)
	}
}

// FuzzMessage has a message say anything.
func FuzzMessage(f *testing.F) {
	f.Add(encode(origin{"http", "127.0.0.1:8080"}, []entry{{1, 2}, {3, 4}}))
	f.Add(encode(origin{}, nil))
	f.Add([]byte{messageVersion, 200, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, entries, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if len(entries) > maxBatch {
			t.Errorf("%d entries", len(entries))
		}
		if again := encode(o, entries); string(again) != string(data) {
			t.Errorf("%x became %x", data, again)
		}
	})
}

// TestLateNote has a connection come to rest when its slot has another owner
// by then: the slot must not change.
func TestLateNote(t *testing.T) {
	p := newTestPage(4)
	late := &place{word: p.slot(1), entry: entry{1, 7}}
	p.slot(1).Store(uint64(newWord(7, 0, busy)))
	late.note(newWord(0, 5, rest))
	if w, found := p.find(late.entry); !found || w != newWord(7, 5, rest) {
		t.Fatalf("%v, %v", w, found)
	}
	for _, other := range []word{newWord(7, 0, free), newWord(8, 1, busy), newWord(8, 9, rest)} {
		p.slot(1).Store(uint64(other))
		late.note(newWord(0, 6, rest))
		if got := word(p.slot(1).Load()); got != other {
			t.Errorf("%v became %v", other, got)
		}
	}
}
