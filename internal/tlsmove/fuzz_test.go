package tlsmove

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzState decodes what may be no state. What is one is encoded as it was.
func FuzzState(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{Format})
	full := &session{
		suite: suites[1], curve: 29, flags: flagResumed | flagECH, name: "site", protocol: "http/1.1",
		in: position{make([]byte, 48), 1}, out: position{make([]byte, 48), 2},
		certs: [][]byte{{1}, {2, 3}}, ocsp: []byte{4}, scts: [][]byte{{5}},
	}
	f.Add(full.encode())
	f.Add((&session{}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(data)
		if err != nil {
			return
		}
		if again := s.encode(); !bytes.Equal(again, data) {
			t.Errorf("%x was decoded to %+v, which is %x", data, s, again)
		}
		if len(data) > s.size() {
			t.Errorf("%d bytes, said to be %d at most", len(data), s.size())
		}
	})
}

// FuzzTrack follows any bytes in any pieces, and counts as one who reads them in
// one.
func FuzzTrack(f *testing.F) {
	f.Add([]byte{typeData, 3, 3, 0, 2, 1, 2, typeData, 3, 3, 0, 0}, byte(1))
	f.Add(vectorClientData, byte(7))
	f.Add(append(bytes.Clone(vectorServerData), vectorServerAlert...), byte(60))
	f.Add([]byte{typeData, 3, 3, 0, keyUpdateSize}, byte(3))
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		tp := &tap{suite: suites[0]}
		tp.in.size = uint8(copy(tp.in.secret[:], vectorClientSecret))
		for rest := data; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			tp.in.feed(rest[:n], tp.check)
			rest = rest[n:]
		}
		records, rest := uint64(0), data
		for len(rest) >= headerSize {
			size := headerSize + int(binary.BigEndian.Uint16(rest[3:]))
			if size > len(rest) {
				break
			}
			if rest[0] == typeData {
				records++
			}
			rest = rest[size:]
		}
		if tp.in.records != records || len(rest) == 0 != (tp.in.begun == 0) {
			t.Errorf("%d records, want %d; %d bytes left, header %d", tp.in.records, records, len(rest), tp.in.begun)
		}
		if cap(tp.in.kept) > 2*firstRecord {
			t.Errorf("%d bytes are kept", cap(tp.in.kept))
		}
		if d, err := tp.in.prove(suites[0]); err == nil && d.seq > records {
			t.Errorf("number %d after %d records", d.seq, records)
		}
	})
}

// FuzzRead reads any bytes as records.
func FuzzRead(f *testing.F) {
	f.Add(vectorClientData)
	f.Add(append(bytes.Clone(vectorClientData), vectorClientAlert...))
	f.Add([]byte{typeAlert, 3, 3, 0, 2, 2, 40})
	f.Add(append([]byte{typeData, 3, 3, 0x41, 0}, make([]byte, 300)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, server := newPair(t, suites[0])
		if err := server.adopted.in.use(bytes.Clone(vectorClientSecret), 0); err != nil {
			t.Fatal(err)
		}
		feedAll(t, server, data)
	})
}

// FuzzContent reads any content of any type, sealed by one who has the key.
func FuzzContent(f *testing.F) {
	f.Add(byte(typeHandshake), keyUpdate(1))
	f.Add(byte(typeAlert), []byte{levelWarning, alertCloseNotify})
	f.Add(byte(typeData), []byte{})
	f.Add(byte(0), []byte{1, typeData, 0, 0})
	f.Fuzz(func(t *testing.T, typ byte, content []byte) {
		client, server := newPair(t, suites[0])
		if len(content) > maxCiphertext-1-tagSize {
			return
		}
		record, err := client.adopted.out.seal(nil, typ, content)
		if err != nil {
			t.Fatal(err)
		}
		feedAll(t, server, record)
		_, _ = isTickets(content), typ
	})
}

// feedAll reads until there is an error, which must stay.
func feedAll(t *testing.T, c *Conn, data []byte) {
	t.Helper()
	c.nc.(memoryConn).in.data = data
	c.nc.(memoryConn).in.closed = true
	p := make([]byte, 1000)
	total := 0
	for {
		n, err := c.Read(p)
		if total += n; total > len(data) {
			t.Fatalf("%d bytes out of %d", total, len(data))
		}
		if err == nil {
			continue
		}
		if n, again := c.Read(p); n != 0 || again == nil {
			t.Errorf("after %v another Read returns %d bytes, %v", err, n, again)
		}
		return
	}
}
