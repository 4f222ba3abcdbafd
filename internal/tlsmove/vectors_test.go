package tlsmove

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func fromHex(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

// Of RFC 8448, 3: the secrets and records of a simple 1-RTT handshake, after it.
var (
	vectorClientSecret = fromHex(`9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5`)
	vectorServerSecret = fromHex(`a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32 82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43`)
	vectorClientData   = fromHex(`17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f 2b 98 19 a8
		a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4`)
	vectorServerData = fromHex(`17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b 36 e3 0e fa f9
		7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d`)
	vectorClientAlert = fromHex(`17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3`)
	vectorServerAlert = fromHex(`17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9`)
)

// TestVectors seals and opens the records of RFC 8448.
func TestVectors(t *testing.T) {
	data := make([]byte, 50)
	for i := range data {
		data[i] = byte(i)
	}
	for _, v := range []struct {
		name    string
		secret  []byte
		seq     uint64
		typ     byte
		content []byte
		record  []byte
	}{
		{"client's data", vectorClientSecret, 0, typeData, data, vectorClientData},
		{"client's alert", vectorClientSecret, 1, typeAlert, []byte{levelWarning, alertCloseNotify}, vectorClientAlert},
		{"server's data", vectorServerSecret, 1, typeData, data, vectorServerData}, // after a ticket
		{"server's alert", vectorServerSecret, 2, typeAlert, []byte{levelWarning, alertCloseNotify}, vectorServerAlert},
	} {
		t.Run(v.name, func(t *testing.T) {
			d, err := newDirection(0x1301, bytes.Clone(v.secret), v.seq)
			if err != nil {
				t.Fatal(err)
			}
			typ, content, err := d.open(nil, v.record, v.seq)
			if err != nil || typ != v.typ || !bytes.Equal(content, v.content) {
				t.Errorf("opened as type %d, %x: %v", typ, content, err)
			}
			if record, err := d.seal(nil, v.typ, v.content); err != nil || !bytes.Equal(record, v.record) {
				t.Errorf("sealed as %x: %v", record, err)
			}
			at := len(v.content)
			if (d.typeOf(v.seq, int32(len(v.record)-headerSize), types{v.record[headerSize+at]}) == typeData) != (v.typ == typeData) {
				t.Error("the type does not show by itself")
			}
		})
	}
}

// TestKeys checks keys of RFC 8448, and that the labels are those of RFC
// 8446, 7.3.
func TestKeys(t *testing.T) {
	s, err := suiteOf(0x1301)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		secret []byte
		label  string
		want   []byte
	}{
		{vectorClientSecret, "key", fromHex("17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51")},
		{vectorClientSecret, "iv", fromHex("5b 78 92 3d ee 08 57 90 33 e5 23 d9")},
		{vectorServerSecret, "key", fromHex("9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56")},
		{vectorServerSecret, "iv", fromHex("cf 78 2b 88 dd 83 54 9a ad f1 e9 84")},
	} {
		if got, err := s.expand(v.secret, v.label, len(v.want)); err != nil || !bytes.Equal(got, v.want) {
			t.Errorf("%s: %x, %v; want %x", v.label, got, err, v.want)
		}
	}
}
