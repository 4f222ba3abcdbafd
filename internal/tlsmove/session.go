package tlsmove

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// MaxState is how long a state is at most. One without client certificates has
// some 200 bytes.
const MaxState = 64 << 10

// Format is the version of the states that Export writes and Adopt reads, and
// the first byte of each. Adopt clears it.
const Format = 1

var (
	errState  = errors.New("not a state")
	errFormat = errors.New("a state of another format")
)

// A session is what a state says.
type session struct {
	suite    uint16
	curve    uint16
	flags    byte
	name     string
	protocol string
	in, out  position
	certs    [][]byte // of the client
	ocsp     []byte
	scts     [][]byte
}

// A position is where a direction stands.
type position struct {
	secret []byte
	seq    uint64
}

const (
	flagResumed = 1 << iota
	flagECH
	flagRetried
	flagsKnown = 1<<iota - 1
)

func (s *session) setFlag(flag byte, on bool) {
	if on {
		s.flags |= flag
	}
}

func (s *session) flag(flag byte) bool { return s.flags&flag != 0 }

// size returns the most that encode can come to.
func (s *session) size() int {
	n := 1 + 2 + 2 + 1 + 2*(4+48+8) + 4 + len(s.name) + 4 + len(s.protocol) + 4 + len(s.ocsp) + 2*4
	for _, list := range [][][]byte{s.certs, s.scts} {
		for _, item := range list {
			n += 4 + len(item)
		}
	}
	return n
}

// encode writes the fields in order, each of variable length after its length.
func (s *session) encode() []byte {
	b := make([]byte, 0, s.size()) // no copies of the secrets are left behind
	b = append(b, Format)
	b = binary.BigEndian.AppendUint16(b, s.suite)
	b = binary.BigEndian.AppendUint16(b, s.curve)
	b = append(b, s.flags)
	for _, p := range []position{s.in, s.out} {
		b = appendBytes(b, p.secret)
		b = binary.BigEndian.AppendUint64(b, p.seq)
	}
	b = appendBytes(b, []byte(s.name))
	b = appendBytes(b, []byte(s.protocol))
	b = appendList(b, s.certs)
	b = appendBytes(b, s.ocsp)
	return appendList(b, s.scts)
}

func appendBytes(b, field []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

func appendList(b []byte, list [][]byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, item := range list {
		b = appendBytes(b, item)
	}
	return b
}

// decode reads what encode has written, and nothing else. What it returns does
// not share memory with b.
func decode(b []byte) (*session, error) {
	if len(b) > MaxState {
		return nil, errState
	}
	d := &decoder{rest: b}
	switch v := d.fixed(1); {
	case d.failed || v[0] == 0:
		return nil, errState
	case v[0] != Format:
		return nil, fmt.Errorf("%w: %d, and this process reads %d", errFormat, v[0], Format)
	}
	s := &session{}
	s.suite = binary.BigEndian.Uint16(d.fixed(2))
	s.curve = binary.BigEndian.Uint16(d.fixed(2))
	s.flags = d.fixed(1)[0]
	for _, p := range []*position{&s.in, &s.out} {
		p.secret = d.bytes()
		p.seq = binary.BigEndian.Uint64(d.fixed(8))
	}
	s.name, s.protocol = string(d.bytes()), string(d.bytes())
	s.certs, s.ocsp, s.scts = d.list(), d.bytes(), d.list()
	if d.failed || len(d.rest) > 0 || s.flags&^flagsKnown != 0 || max(s.in.seq, s.out.seq) > math.MaxInt64 {
		clear(s.in.secret)
		clear(s.out.secret)
		return nil, errState
	}
	return s, nil
}

// A decoder takes fields off rest. After the first that is not there it goes on
// with zeros.
type decoder struct {
	rest   []byte
	failed bool
}

var zeros [8]byte

func (d *decoder) fixed(n int) []byte {
	if n > len(d.rest) {
		d.failed, d.rest = true, nil
		return zeros[:n]
	}
	field := d.rest[:n]
	d.rest = d.rest[n:]
	return field
}

func (d *decoder) length() int {
	n := binary.BigEndian.Uint32(d.fixed(4))
	if n > uint32(len(d.rest)) {
		d.failed, d.rest = true, nil
		return 0
	}
	return int(n)
}

// bytes returns nil for an empty field, as crypto/tls does.
func (d *decoder) bytes() []byte {
	n := d.length()
	if n == 0 {
		return nil
	}
	return append(make([]byte, 0, n), d.fixed(n)...)
}

func (d *decoder) list() (list [][]byte) {
	for range d.length() { // each item has four bytes at least, so a false length fails soon
		item := d.bytes()
		if d.failed {
			return nil
		}
		list = append(list, item)
	}
	return list
}
