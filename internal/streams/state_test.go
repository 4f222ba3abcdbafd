package streams

import (
	"bytes"
	"testing"
)

// FuzzParcel decodes anything, and what was encoded as it was.
func FuzzParcel(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add(parcel{[]byte("session"), []byte("unread"), []byte("state")}.encode(), []byte("unread"), bytes.Repeat([]byte("x"), 300))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		if p, err := decodeParcel(one); err == nil {
			if again, err := decodeParcel(p.encode()); err != nil || !same(p, again) {
				t.Errorf("%v is decoded as %v, %v", p, again, err)
			}
		}
		p := parcel{one, two, three}
		encoded := p.encode()
		if got, err := decodeParcel(encoded); err != nil || !same(p, got) {
			t.Errorf("%v is decoded as %v, %v", p, got, err)
		}
	})
}

func same(a, b parcel) bool {
	return bytes.Equal(a.session, b.session) && bytes.Equal(a.unread, b.unread) && bytes.Equal(a.state, b.state)
}
