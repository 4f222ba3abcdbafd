package tlsmove

import (
	"crypto/cipher"
	"errors"
	"slices"
)

// Record types (RFC 8446, 5.1), handshake messages (4) and sizes (5.1, 5.2).
const (
	typeAlert     = 21
	typeHandshake = 22
	typeData      = 23

	messageNewSessionTicket = 4
	messageFinished         = 20
	messageKeyUpdate        = 24

	headerSize    = 5
	tagSize       = 16
	maxPlaintext  = 1 << 14
	maxCiphertext = maxPlaintext + 256

	// keyUpdateSize is the length of a record with a KeyUpdate and no padding.
	keyUpdateSize = 4 + 1 + 1 + tagSize

	// javaPadding is what Java's SSLSocket adds to each record, of data too
	// (OutputRecord.T13PaddingHolder in OpenJDK's sun.security.ssl).
	javaPadding = 16
)

var (
	errMAC      = errors.New("a record does not open")
	errSecret   = errors.New("a secret of the wrong length")
	errSequence = errors.New("no sequence number is left")
)

// A direction is one direction of a connection under its present key: all there
// is to know is a secret, the suite and the number of the next record (RFC 8446,
// 5.3 and 7.3). One goroutine at a time uses it.
type direction struct {
	suite  suite
	secret []byte
	seq    uint64 // of the next record
	aead   cipher.AEAD
	iv     [12]byte
	nonce  [12]byte
}

// newDirection takes ownership of secret.
func newDirection(id uint16, secret []byte, seq uint64) (*direction, error) {
	s, err := suiteOf(id)
	if err != nil {
		return nil, err
	}
	if len(secret) != s.secret {
		return nil, errSecret
	}
	d := &direction{suite: s}
	return d, d.use(secret, seq)
}

// use goes on under the key of secret.
func (d *direction) use(secret []byte, seq uint64) error {
	key, err := d.suite.expand(secret, "key", d.suite.key)
	if err != nil {
		return err
	}
	defer clear(key)
	iv, err := d.suite.expand(secret, "iv", len(d.iv))
	if err != nil {
		return err
	}
	if d.aead, err = d.suite.aead(key); err != nil {
		return err
	}
	copy(d.iv[:], iv)
	clear(iv)
	clear(d.secret)
	d.secret, d.seq = secret, seq
	return nil
}

// update goes on to the next key (RFC 8446, 7.2).
func (d *direction) update() error {
	next, err := d.suite.next(d.secret)
	if err != nil {
		return err
	}
	return d.use(next, 0)
}

// forget zeroes what is secret, as far as Go allows: the key schedule of the
// AEAD is left to the garbage collector.
func (d *direction) forget() {
	clear(d.secret)
	clear(d.iv[:])
	clear(d.nonce[:])
	d.aead = nil
}

func (d *direction) nonceOf(seq uint64) []byte {
	setNonce(d.nonce[:], d.iv[:], seq)
	return d.nonce[:]
}

// open opens a whole record as that of number seq. It appends the content to
// dst, which may be record[headerSize:headerSize] to open it in place.
func (d *direction) open(dst, record []byte, seq uint64) (typ byte, content []byte, err error) {
	plain, err := d.aead.Open(dst, d.nonceOf(seq), record[headerSize:], record[:headerSize])
	if err != nil {
		return 0, nil, errMAC
	}
	for i := len(plain) - 1; i >= len(dst); i-- {
		if plain[i] != 0 { // what follows is padding
			return plain[i], plain[len(dst):i], nil
		}
	}
	return 0, nil, errMAC
}

// seal appends the next record to dst. Its number is used up whatever becomes of
// the record.
func (d *direction) seal(dst []byte, typ byte, content []byte) ([]byte, error) {
	if d.seq >= 1<<63 {
		return nil, errSequence
	}
	size := len(content) + 1 + tagSize
	start := len(dst)
	dst = slices.Grow(dst, headerSize+size) // Seal, in place, must not move it
	dst = append(dst, typeData, 3, 3, byte(size>>8), byte(size))
	dst = append(dst, content...)
	dst = append(dst, typ)
	body := dst[start+headerSize:]
	d.aead.Seal(body[:0], d.nonceOf(d.seq), body, dst[start:start+headerSize])
	d.seq++
	return dst[:start+headerSize+size], nil
}

// Paddings are those that clients are known to add to a record of data.
var paddings = [...]int{0, javaPadding}

// Types are the bytes of a record, encrypted, that are its type if it has the
// first of paddings, or the second.
type types [len(paddings)]byte

// typeOf returns the type of record seq if it has one of paddings, or zero.
func (d *direction) typeOf(seq uint64, length int32, t types) byte {
	key, err := d.suite.expand(d.secret, "key", d.suite.key)
	if err != nil {
		return 0
	}
	defer clear(key)
	mask, err := d.suite.mask(key, d.iv[:])
	if err != nil {
		return 0
	}
	return mask.typeOf(seq, length, t)
}

// typeOf is that of the direction whose mask it is. What is longer than a
// KeyUpdate with the longest of paddings, and is one, has zeros at all places.
func (m mask) typeOf(seq uint64, length int32, t types) byte {
	for i, padding := range paddings {
		at := typeAt(length) - padding
		if at < 0 {
			return 0
		}
		if typ := m(seq, at) ^ t[i]; typ != 0 {
			return typ
		}
	}
	return 0
}

// typeAt returns where the type is in a record of that length without padding.
func typeAt(length int32) int { return int(length) - tagSize - 1 }
