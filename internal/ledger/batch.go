package ledger

import (
	"fmt"
)

// maxBatch is how many connections go in one message: the kernel takes 253
// descriptors (SCM_MAX_FD in unix(7)).
const maxBatch = 250

// An entry is one connection in a message: its slot, and the epoch of the slot.
type entry struct{ slot, epoch uint32 }

// An origin says where a connection was accepted.
type origin struct{ listener, address string }

// A message is connections of one origin, as they are queued. The descriptors
// go along with it. It is small, since the socket has room for 200 kilobytes of
// them and of what the kernel needs beside.
//
//	version 1 byte | listener | address | entries of 6 bytes: slot 3, epoch 3
//
// A text is its length, of one byte, and its bytes.
const (
	messageVersion = 1
	maxText        = 255
	entrySize      = 6
	maxMessage     = 1 + 2*(1+maxText) + maxBatch*entrySize
)

func (o origin) check() error {
	if len(o.listener) > maxText || len(o.address) > maxText {
		return fmt.Errorf("the name of listener %q at %s is too long", o.listener, o.address)
	}
	return nil
}

func encode(o origin, entries []entry) []byte {
	p := make([]byte, 0, 3+len(o.listener)+len(o.address)+entrySize*len(entries))
	p = append(p, messageVersion)
	for _, text := range []string{o.listener, o.address} {
		p = append(p, byte(len(text)))
		p = append(p, text...)
	}
	for _, e := range entries {
		p = append24(append24(p, e.slot), e.epoch)
	}
	return p
}

// decode is the reverse of encode. Its error matches ErrMalformed.
func decode(p []byte) (o origin, entries []entry, err error) {
	if len(p) == 0 || p[0] != messageVersion {
		return o, nil, fmt.Errorf("%w: a message of another version", ErrMalformed)
	}
	p = p[1:]
	for _, text := range []*string{&o.listener, &o.address} {
		if len(p) == 0 || len(p) < 1+int(p[0]) {
			return origin{}, nil, fmt.Errorf("%w: a message that is cut short", ErrMalformed)
		}
		n := 1 + int(p[0])
		*text, p = string(p[1:n]), p[n:]
	}
	if len(p)%entrySize != 0 || len(p)/entrySize > maxBatch {
		return origin{}, nil, fmt.Errorf("%w: a message with %d bytes of entries", ErrMalformed, len(p))
	}
	for ; len(p) > 0; p = p[entrySize:] {
		entries = append(entries, entry{get24(p), get24(p[3:])})
	}
	return o, entries, nil
}

func append24(p []byte, n uint32) []byte { return append(p, byte(n), byte(n>>8), byte(n>>16)) }

func get24(p []byte) uint32 { return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 }
