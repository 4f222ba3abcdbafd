package tlsmove

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
)

// A tap is the net.Conn under a tls.Conn: it follows the records of both
// directions. crypto/tls writes a record as soon as it is sealed
// (Conn.writeRecordLocked; in the handshake Conn.flush, in one piece), so a tap
// has seen every number that was spent.
type tap struct {
	net.Conn
	slot  *slot // during the handshake
	slots *sync.Pool

	mu      sync.Mutex
	suite   uint16 // known when the handshake is complete
	in, out track
	reading int  // Reads under way
	writing int  // Writes under way
	gone    bool // exported: nothing may be read or written, ever
	cut     bool // the client is gone, or half of it
	asked   int  // KeyUpdates that the client waits for
	onHold  bool // no record is begun: see Conn.HoldReads
	probe   *direction
}

// NetConn returns the connection below.
func (t *tap) NetConn() net.Conn { return t.Conn }

func (t *tap) Read(p []byte) (int, error) {
	t.mu.Lock()
	if t.gone { // what comes is the adopter's
		t.mu.Unlock()
		return 0, ErrMoved
	}
	if t.onHold {
		if t.in.begun == 0 {
			t.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		p = p[:min(len(p), t.in.missing())]
	}
	t.reading++
	t.mu.Unlock()

	n, err := t.Conn.Read(p)

	t.mu.Lock()
	t.reading--
	t.cut = t.cut || errors.Is(err, io.EOF)
	t.in.feed(p[:n], t.check)
	t.mu.Unlock()
	return n, err
}

// Write refuses when the connection was exported: what crypto/tls has sealed
// then, a close_notify for one, bears the number that the adopter uses next.
func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	if t.gone {
		t.mu.Unlock()
		return 0, ErrMoved
	}
	t.writing++
	t.out.feed(p, t.check)
	t.mu.Unlock()

	n, err := t.Conn.Write(p)

	t.mu.Lock()
	t.writing--
	if n < len(p) { // a part of a record may be out
		t.out.broken = true
	}
	t.mu.Unlock()
	return n, err
}

// Close leaves an exported connection to its new owner.
func (t *tap) Close() error {
	if t.isGone() {
		return nil
	}
	return t.Conn.Close()
}

func (t *tap) isGone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gone
}

// check opens a record that is as long as a KeyUpdate: there is no other way to
// tell one from five bytes of data. crypto/tls sends one only when asked
// (Conn.handleKeyUpdate). mu is held.
func (t *tap) check(d *track) {
	if d.hasManyLong() {
		d.checkLong(t.suite)
		return
	}
	if d.broken || d.size == 0 || d == &t.out && t.asked == 0 {
		return
	}
	if t.suite == 0 { // it has come with the Finished
		t.suite = d.guessSuite()
	}
	if err := t.open(d); err != nil {
		d.broken = true
	}
}

// open opens what is kept, and follows a KeyUpdate.
func (t *tap) open(d *track) error {
	secret := d.secret[:d.size]
	if t.probe == nil || !bytes.Equal(t.probe.secret, secret) {
		probe, err := newDirection(t.suite, bytes.Clone(secret), 0)
		if err != nil {
			return err
		}
		t.probe = probe
	}
	var typ byte
	var content []byte
	var err error
	if d.based {
		typ, content, err = t.probe.open(nil, d.kept, d.keptAt-d.base)
	} else {
		typ, content, err = d.locate(t.probe)
	}
	if err != nil || typ != typeHandshake {
		return err
	}
	asks, ok := isKeyUpdate(content)
	switch {
	case !ok:
		return errUnproven
	case d == &t.out:
		t.asked--
	case asks:
		t.asked++
	}
	defer func() { t.probe = nil }()
	return d.update(t.probe)
}

// established is told of the end of the handshake.
func (t *tap) established(suite uint16) {
	t.mu.Lock()
	t.suite = suite
	t.mu.Unlock()
}

// forget zeroes the secrets. mu is held.
func (t *tap) forget() {
	for _, track := range []*track{&t.in, &t.out} {
		clear(track.earlier[:])
		clear(track.secret[:])
		track.broken, track.kept = true, nil
		track.long.forget()
	}
	if t.probe != nil {
		t.probe.forget()
		t.probe = nil
	}
}

// hasPart reports whether a record of the client's has begun.
func (t *tap) hasPart() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.in.begun > 0
}

func (t *tap) holdReads(hold bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onHold = hold
}

// wasCut reports whether an end of file came from below.
func (t *tap) wasCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

// export proves both directions and ends all reading and writing.
func (t *tap) export() (in, out *direction, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.gone:
		return nil, nil, ErrMoved
	case t.reading > 0 || t.writing > 0:
		return nil, nil, refuse(Busy, errUnframed)
	}
	if in, err = t.in.prove(t.suite); err != nil {
		return nil, nil, refuseProof(err)
	}
	if out, err = t.out.prove(t.suite); err != nil {
		in.forget()
		return nil, nil, refuseProof(err)
	}
	t.gone = true
	t.forget()
	return in, out, nil
}
