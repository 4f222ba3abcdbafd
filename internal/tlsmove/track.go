package tlsmove

import (
	"errors"
	"slices"
)

const (
	// smallRecord is up to how long a record replaces the one that is kept, and
	// firstRecord up to how long it is kept for want of any, in a handshake: a
	// client may send its certificate and its Finished in one.
	smallRecord = 512
	firstRecord = 4 << 10

	// maxHandshakeRecords is how many encrypted records of a handshake may have
	// come before the first one of the application.
	maxHandshakeRecords = 64
)

var (
	errUnproven = errors.New("the records do not prove the sequence number")
	errUnframed = errors.New("a record has begun")
	errEnded    = errors.New("an alert was the last")
)

// A track follows one direction of a connection of crypto/tls from below. It
// counts the encrypted records and keeps the last small one, by which prove
// shows that the count is right.
//
// Both sides number their records from zero under each key (RFC 8446, 5.3), so
// the place of a record in the stream says its number, but for two things that
// are encrypted: where the handshake ended, and a KeyUpdate. The first is found
// when it is needed, by trial; the second by opening each record of its length,
// alone or with the padding of Java's. One with other padding goes unseen. Then
// the proof fails: either the record that is kept does not open, or one that was
// too long to be kept shows padding where the others have their type
// (longRecords).
type track struct {
	header  [headerSize]byte
	begun   uint8 // bytes of header
	broken  bool  // not understood: nothing is proven any more
	hasKept bool
	keeping bool   // the record under way is being kept
	left    int32  // bytes of the record under way, after its header
	records uint64 // encrypted ones, whole, in all

	kept   []byte // a whole record, unless one is under way
	keptAt uint64 // how many came before it

	last      int32 // the length of the last record
	lastTypes types

	foreign  bool         // not crypto/tls's, which pads nothing
	long     *longRecords // of a foreign one, those since the one that is kept
	doubtful bool         // one of them may be a KeyUpdate

	based   bool     // base is known
	size    uint8    // of both secrets; zero until they are known
	earlier [48]byte // the secret of the handshake
	secret  [48]byte // of the present key
	base    uint64   // how many records came before the first one under this key
}

// feed follows the bytes of p. check is told of each record that may be a
// KeyUpdate, and when longRecords is full.
func (t *track) feed(p []byte, check func(*track)) {
	for len(p) > 0 {
		if t.begun < headerSize {
			n := copy(t.header[t.begun:], p)
			t.begun += uint8(n)
			p = p[n:]
			if t.begun < headerSize {
				return
			}
			t.start()
		}
		n := min(int(t.left), len(p))
		t.take(p[:n])
		p = p[n:]
		if t.left == 0 {
			t.end(check)
		}
	}
}

// missing returns how many bytes are to come of the header, or the record, under
// way.
func (t *track) missing() int {
	if t.begun < headerSize {
		return headerSize - int(t.begun)
	}
	return int(t.left)
}

// start begins a record whose header has come.
func (t *track) start() {
	t.left = int32(t.header[3])<<8 | int32(t.header[4])
	t.last = t.left
	t.keeping = t.header[0] == typeData && (t.left <= smallRecord || !t.hasKept && !t.based && t.left <= firstRecord)
	if !t.keeping {
		return
	}
	if cap(t.kept) > 2*smallRecord {
		t.kept = nil
	}
	t.kept = append(slices.Grow(t.kept[:0], headerSize+int(t.left)), t.header[:]...)
	t.hasKept = false
}

// take takes in a part of the record under way.
func (t *track) take(part []byte) {
	if t.keeping {
		t.kept = append(t.kept, part...)
	}
	t.noteTypes(part)
	t.left -= int32(len(part))
}

// noteTypes keeps the bytes that may be the type, if they are in this part.
func (t *track) noteTypes(part []byte) {
	for i, padding := range paddings {
		if at := typeAt(t.left) - padding; at >= 0 && at < len(part) {
			t.lastTypes[i] = part[at]
		}
	}
}

// end is called when the record under way is whole.
func (t *track) end(check func(*track)) {
	t.begun = 0
	if t.header[0] != typeData {
		t.broken = t.broken || t.based // nothing is in the clear after the handshake
		return
	}
	t.records++
	if !t.keeping {
		if t.noteLong() {
			check(t)
		}
		return
	}
	t.hasKept, t.keptAt, t.keeping = true, t.records-1, false
	t.forgetLong() // this one proves them, or nothing
	if t.last == keyUpdateSize || t.last == keyUpdateSize+javaPadding {
		check(t)
	}
}
