package streams

import (
	"encoding/binary"
	"errors"

	"github.com/heirloom-go/heirloom/internal/tlsmove"
)

// parcelVersion is the first byte of a parcel. The state of a session of
// package tlsmove begins with another one: who takes the one for the other
// closes the connection.
const parcelVersion = 0x81

var errParcel = &tlsmove.Refusal{Reason: tlsmove.Malformed, Err: errors.New("not the state of a stream of TLS")}

// A parcel is what a session of TLS is handed over with.
type parcel struct {
	session []byte // of tlsmove.Export: secret
	unread  []byte // was decrypted, and not read by the handler
	state   []byte // the handler's
}

// encode writes the version, and the fields, each after its length but for the
// last one.
func (p parcel) encode() []byte {
	b := make([]byte, 0, 1+2*binary.MaxVarintLen64+len(p.session)+len(p.unread)+len(p.state)) // no copies of secrets are left behind
	b = append(b, parcelVersion)
	for _, field := range [][]byte{p.session, p.unread} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return append(b, p.state...)
}

// decodeParcel reads what encode has written. The fields share the memory of b.
func decodeParcel(b []byte) (p parcel, err error) {
	if len(b) == 0 || b[0] != parcelVersion {
		return parcel{}, errParcel
	}
	b = b[1:]
	for _, field := range []*[]byte{&p.session, &p.unread} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return parcel{}, errParcel
		}
		*field, b = b[size:size+int(n):size+int(n)], b[size+int(n):]
	}
	p.state = b
	return p, nil
}
