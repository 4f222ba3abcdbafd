package tlsmove

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// keyStream is a mask by the AEAD itself.
func keyStream(d *direction, seq uint64, at int) byte {
	return d.aead.Seal(nil, d.nonceOf(seq), make([]byte, at+1), nil)[at]
}

func TestMask(t *testing.T) {
	for _, id := range suites {
		s, err := suiteOf(id)
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDirection(id, bytes.Repeat([]byte{7}, s.secret), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{0, 1, 1 << 40} {
			for _, at := range []int{0, 15, 16, 63, 64, 1000, maxPlaintext} {
				typ := keyStream(d, seq, at) ^ typeData
				if length := int32(at + 1 + tagSize); d.typeOf(seq, length, types{typ}) != typeData || d.typeOf(seq, length, types{typ ^ 1}) == typeData {
					t.Errorf("%s: the type of record %d is not found at %d", tls.CipherSuiteName(id), seq, at)
				}
				padded := types{keyStream(d, seq, at+javaPadding), typ}
				if length := int32(at + 1 + javaPadding + tagSize); d.typeOf(seq, length, padded) != typeData || d.typeOf(seq, length, types{padded[0]}) == typeData {
					t.Errorf("%s: the type of record %d is not found at %d, before padding", tls.CipherSuiteName(id), seq, at)
				}
			}
		}
	}
}

// readAll has the server read what the client sent, and be at rest.
func readAll(t *testing.T, server *Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(server, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	wake(t, server)
}

// TestHiddenLongKeyUpdate hides a KeyUpdate in a record that is too long to be
// kept, and sends no other after it but such. Each is of a length at which the
// old key decrypts the byte of its type as well as the new one does, which of
// lengths taken by chance one in 256 is.
func TestHiddenLongKeyUpdate(t *testing.T) {
	for _, count := range []int{1, 2, maxLong, 3 * maxLong} {
		client, server := newShaken(t)
		out := client.adopted.out
		sendRecord(t, client, typeHandshake, keyUpdate(0), 2000)
		old, err := newDirection(server.tap.suite, bytes.Clone(out.secret), out.seq)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.update(); err != nil {
			t.Fatal(err)
		}
		total := 0
		for range count {
			size := smallRecord
			for keyStream(old, old.seq, size) != keyStream(out, out.seq, size) {
				size++
			}
			sendRecord(t, client, typeData, make([]byte, size), 0)
			old.seq++
			total += size
		}
		_ = server.SetReadDeadline(time.Time{})
		readAll(t, server, total)
		if _, err := server.Export(); ReasonOf(err) != Unproven {
			t.Errorf("after %d records Export returns %v", count, err)
		}
	}
}

// TestLong moves a connection whose client has sent nothing but long records
// since its handshake, or since a KeyUpdate.
func TestLong(t *testing.T) {
	for _, padding := range paddings {
		for _, count := range []int{1, maxLong - 1, maxLong, 3*maxLong + 1} {
			moveLong(t, count, padding)
		}
	}
}

func moveLong(t *testing.T, count, padding int) {
	t.Helper()
	client, server := newShaken(t)
	for range count {
		sendRecord(t, client, typeData, make([]byte, 1000), padding)
	}
	sendRecord(t, client, typeHandshake, keyUpdate(0), padding)
	if err := client.adopted.out.update(); err != nil {
		t.Fatal(err)
	}
	for range count {
		sendRecord(t, client, typeData, make([]byte, 5000), padding)
	}
	_ = server.SetReadDeadline(time.Time{})
	readAll(t, server, count*6000)
	if _, err := server.Export(); err != nil {
		t.Errorf("after %d records with padding of %d Export returns %v", count, padding, err)
	}
}

// TestLongPadded has a client that pads its data to a length that is not kept:
// it may have updated its key, until a short record shows that it has not.
func TestLongPadded(t *testing.T) {
	client, server := newShaken(t)
	for range 2 * maxLong {
		sendRecord(t, client, typeData, make([]byte, 10), 1000)
	}
	_ = server.SetReadDeadline(time.Time{})
	readAll(t, server, 20*maxLong)
	if _, err := server.Export(); ReasonOf(err) != Unproven {
		t.Errorf("Export returns %v", err)
	}
	_ = server.SetReadDeadline(time.Time{})
	sendRecord(t, client, typeData, make([]byte, 10), 0)
	readAll(t, server, 10)
	if _, err := server.Export(); err != nil {
		t.Errorf("after a short record Export returns %v", err)
	}
}

// TestPaddedKeyUpdate has a client that pads as Java's do, and updates its key
// several times.
func TestPaddedKeyUpdate(t *testing.T) {
	client, server := newShaken(t)
	const rounds = 5
	for range rounds {
		sendRecord(t, client, typeData, make([]byte, 20), javaPadding)
		sendRecord(t, client, typeHandshake, keyUpdate(0), javaPadding)
		if err := client.adopted.out.update(); err != nil {
			t.Fatal(err)
		}
		sendRecord(t, client, typeData, make([]byte, 5), javaPadding) // as long as a KeyUpdate
	}
	_ = server.SetReadDeadline(time.Time{})
	readAll(t, server, rounds*25)
	if _, err := server.Export(); err != nil {
		t.Errorf("Export returns %v", err)
	}
}
