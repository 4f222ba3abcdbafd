package tlsmove

import (
	"bytes"
	"crypto/tls"
	"fmt"
)

// prove returns the direction that a track claims to be at, having opened with
// its key, and under its number, what is kept.
func (t *track) prove(id uint16) (*direction, error) {
	switch {
	case t.begun != 0:
		return nil, errUnframed
	case t.broken || t.size == 0 || t.keeping:
		return nil, errUnproven
	}
	d, err := newDirection(id, bytes.Clone(t.secret[:t.size]), 0)
	if err != nil {
		return nil, err
	}
	if err := t.proveKept(d, id); err != nil {
		d.forget()
		return nil, err
	}
	d.seq = t.records - t.base
	t.checkLong(id)
	if err := t.proveLast(d); err != nil {
		d.forget()
		return nil, err
	}
	return d, nil
}

// proveKept opens the record that is kept. Where there is none, the last short
// one was a Finished or a KeyUpdate that was opened: the count started again
// there, and proveLast sees to what came since.
func (t *track) proveKept(d *direction, id uint16) error {
	if !t.hasKept {
		if t.based {
			return nil
		}
		return errUnproven
	}
	if !t.based {
		if _, _, err := t.locate(d); err != nil {
			return t.locateFinished(id)
		}
	}
	typ, content, err := d.open(nil, t.kept, t.keptAt-t.base)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnproven, err)
	case typ == typeData:
		return nil
	case typ == typeHandshake && isTickets(content):
		return nil
	case typ == typeAlert:
		return errEnded
	default: // the beginning of a message
		return fmt.Errorf("%w: the last is of type %d", errUnproven, typ)
	}
}

// proveLast sees to records too long to be kept, after the one that is: the last
// must be of the type that the application's have, and of a client's each. A
// server's may be a ticket, which has the client's certificates in it: crypto/tls
// sends nothing else of its type that is so long.
func (t *track) proveLast(d *direction) error {
	if t.doubtful {
		return errUnproven
	}
	if d.seq == 0 || t.hasKept && t.keptAt == t.records-1 {
		return nil
	}
	if t.last <= smallRecord || t.last > maxCiphertext { // a short one would have been kept
		return errUnproven
	}
	switch typ := d.typeOf(d.seq-1, t.last, t.lastTypes); {
	case typ == typeData, typ == typeHandshake && !t.foreign:
		return nil
	default:
		return errUnproven
	}
}

// locate finds where the records under the first key begin, by trial of the
// record that is kept, which it returns.
func (t *track) locate(d *direction) (typ byte, content []byte, err error) {
	for before := range min(t.keptAt, maxHandshakeRecords) + 1 {
		if typ, content, err := d.open(nil, t.kept, t.keptAt-before); err == nil {
			t.base, t.based = before, true
			return typ, content, nil
		}
	}
	return 0, nil, errUnproven
}

// guessSuite returns the suite under which opens what is kept, of those whose
// secrets are as long as this one, or zero.
func (t *track) guessSuite() uint16 {
	for _, id := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		d, err := newDirection(id, bytes.Clone(t.secret[:t.size]), 0)
		if err != nil {
			continue
		}
		_, _, err = t.locate(d)
		d.forget()
		if err == nil {
			return id
		}
	}
	return 0
}

// locateFinished is for a side that has sent nothing short since its Finished,
// which is kept and was in the last record under the key of the handshake.
func (t *track) locateFinished(id uint16) error {
	d, err := newDirection(id, bytes.Clone(t.earlier[:t.size]), 0)
	if err != nil {
		return err
	}
	defer d.forget()
	for seq := range min(t.keptAt, maxHandshakeRecords) + 1 {
		_, content, err := d.open(nil, t.kept, seq)
		if err != nil {
			continue
		}
		if !endsInFinished(content, int(t.size)) {
			return errUnproven
		}
		t.base, t.based, t.hasKept = t.keptAt+1, true, false
		return nil
	}
	return errUnproven
}

// endsInFinished reports whether the last message in content is a Finished,
// whose length is that of the hash (RFC 8446, 4.4.4).
func endsInFinished(content []byte, size int) bool {
	at := len(content) - 4 - size
	return at >= 0 && bytes.HasPrefix(content[at:], []byte{messageFinished, 0, 0, byte(size)})
}

// update goes on to the next key after a KeyUpdate, which is kept.
func (t *track) update(d *direction) error {
	if err := d.update(); err != nil {
		return err
	}
	copy(t.secret[:], d.secret)
	t.long.forget()
	clear(t.earlier[:])
	t.base, t.based, t.hasKept = t.records, true, false
	return nil
}

// isTickets reports whether content is whole NewSessionTicket messages, which a
// server may send at any time.
func isTickets(content []byte) bool {
	for len(content) > 0 {
		if len(content) < 4 || content[0] != messageNewSessionTicket {
			return false
		}
		size := 4 + int(content[1])<<16 + int(content[2])<<8 + int(content[3])
		if size > len(content) {
			return false
		}
		content = content[size:]
	}
	return true
}

// isKeyUpdate reports whether content is one KeyUpdate (RFC 8446, 4.6.3), and
// whether it asks for one.
func isKeyUpdate(content []byte) (asks, ok bool) {
	if len(content) != 5 || content[0] != messageKeyUpdate || content[1] != 0 || content[2] != 0 || content[3] != 1 || content[4] > 1 {
		return false, false
	}
	return content[4] == 1, true
}
