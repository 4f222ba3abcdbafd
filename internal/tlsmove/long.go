package tlsmove

import "bytes"

// maxLong is after how many records that are not kept they are looked at.
const maxLong = 16

// longRecords remembers of records too long to be kept what shows a KeyUpdate
// among them. The byte before the tag is the type of a record, or padding; a
// KeyUpdate of that length has padding there. Up to the first one the key is the
// one that is known, so it shows.
//
// A client that pads its data by more than Java's cannot be told from one that
// has updated its key. It stays until it sends a record short enough to be kept.
type longRecords struct {
	count  int
	length [maxLong]uint16
	types  [maxLong]types

	keyed bool // key and iv are those of the track's secret
	key   [32]byte
	iv    [12]byte
}

// forget zeroes the key.
func (l *longRecords) forget() {
	if l != nil {
		l.keyed = false
		clear(l.key[:])
		clear(l.iv[:])
	}
}

// noteLong notes the record that has ended. It reports whether there is room for
// no other.
func (t *track) noteLong() bool {
	if !t.foreign || t.doubtful {
		return false
	}
	if t.long == nil {
		t.long = &longRecords{}
	}
	l := t.long
	l.length[l.count], l.types[l.count] = uint16(t.last), t.lastTypes
	l.count++
	return l.count == maxLong
}

// hasManyLong reports whether long records are to be looked at now.
func (t *track) hasManyLong() bool { return t.long != nil && t.long.count == maxLong }

func (t *track) forgetLong() {
	t.doubtful = false
	if t.long != nil {
		t.long.count = 0
	}
}

// checkLong looks at the long records, and forgets them. While the suite is not
// known the handshake is under way, which does not have so many.
func (t *track) checkLong(id uint16) {
	if t.long == nil || t.long.count == 0 {
		return
	}
	t.doubtful = !t.findBase(id) || !t.areData(id)
	t.long.count = 0
}

// findBase finds where the records under the first key begin.
func (t *track) findBase(id uint16) bool {
	if t.based {
		return true
	}
	d, err := newDirection(id, bytes.Clone(t.secret[:t.size]), 0)
	if err != nil || !t.hasKept {
		return false
	}
	defer d.forget()
	_, _, err = t.locate(d)
	return err == nil || t.locateFinished(id) == nil
}

// areData reports whether all long records under the present key are of the type
// that the application's have.
func (t *track) areData(id uint16) bool {
	mask, err := t.mask(id)
	if err != nil {
		return false
	}
	first := t.records - uint64(t.long.count)
	for i, length := range t.long.length[:t.long.count] {
		seq := first + uint64(i)
		if seq < t.base { // of the handshake, which its Finished proves
			continue
		}
		if length > maxCiphertext || mask.typeOf(seq-t.base, int32(length), t.long.types[i]) != typeData {
			return false
		}
	}
	return true
}

// mask is of the present key, which is kept for the next time: to derive it
// takes more than to use it.
func (t *track) mask(id uint16) (mask, error) {
	s, err := suiteOf(id)
	if err != nil {
		return nil, err
	}
	l := t.long
	if !l.keyed {
		secret := t.secret[:t.size]
		key, err := s.expand(secret, "key", s.key)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		iv, err := s.expand(secret, "iv", len(l.iv))
		if err != nil {
			return nil, err
		}
		copy(l.key[:], key)
		copy(l.iv[:], iv)
		l.keyed = true
	}
	return s.mask(l.key[:s.key], l.iv[:])
}
