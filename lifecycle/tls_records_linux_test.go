package lifecycle_test

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// Types of records and messages (RFC 8446, B.1 and B.3).
const (
	alertRecord     = 21
	handshakeRecord = 22
	dataRecord      = 23
	keyUpdate       = 24
)

// A recordConn is a client of TLS_AES_128_GCM_SHA256 that has made its
// handshake by crypto/tls, and its records by itself since. So it can send what
// crypto/tls would not. Each record that comes must bear the next number.
type recordConn struct {
	net.Conn
	in, out recordKey
	plain   []byte
}

// A recordKey is one direction.
type recordKey struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func expandLabel(secret []byte, label string, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 "+label)))
	info = append(append(info, "tls13 "+label...), 0)
	key, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		panic(err)
	}
	return key
}

func newRecordKey(secret []byte) recordKey {
	block, err := aes.NewCipher(expandLabel(secret, "key", 16))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return recordKey{secret: secret, aead: aead, iv: expandLabel(secret, "iv", 12)}
}

// next is the key after a KeyUpdate.
func (k *recordKey) next() recordKey { return newRecordKey(expandLabel(k.secret, "traffic upd", 32)) }

func (k *recordKey) nonce(seq uint64) []byte {
	nonce := bytes.Clone(k.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^seq)
	return nonce
}

// keyStream is what the byte at that position of a record is encrypted with.
func (k *recordKey) keyStream(seq uint64, at int) byte {
	return k.aead.Seal(nil, k.nonce(seq), make([]byte, at+1), nil)[at]
}

// seal makes the next record.
func (k *recordKey) seal(typ byte, content []byte, padding int) []byte {
	inner := append(append(bytes.Clone(content), typ), make([]byte, padding)...)
	record := binary.BigEndian.AppendUint16([]byte{dataRecord, 3, 3}, uint16(len(inner)+16))
	record = k.aead.Seal(record, k.nonce(k.seq), inner, record)
	k.seq++
	return record
}

// open opens the next record, and says so if it bears the number of one before.
func (k *recordKey) open(record []byte) (typ byte, content []byte, err error) {
	inner, err := k.aead.Open(nil, k.nonce(k.seq), record[5:], record[:5])
	if err != nil {
		for seq := range k.seq {
			if _, openErr := k.aead.Open(nil, k.nonce(seq), record[5:], record[:5]); openErr == nil {
				return 0, nil, fmt.Errorf("number %d was used twice", seq)
			}
		}
		return 0, nil, fmt.Errorf("the record after %d others: %w", k.seq, err)
	}
	k.seq++
	inner = bytes.TrimRight(inner, "\x00")
	return inner[len(inner)-1], inner[:len(inner)-1], nil
}

// readRecord reads a record as it is.
func readRecord(r io.Reader) ([]byte, error) {
	record := make([]byte, 5)
	if _, err := io.ReadFull(r, record); err != nil {
		return nil, err
	}
	record = append(record, make([]byte, binary.BigEndian.Uint16(record[3:]))...)
	_, err := io.ReadFull(r, record[5:])
	return record, err
}

// A slicedConn returns no more than a record from a Read, so that crypto/tls
// keeps nothing of what comes after the handshake.
type slicedConn struct {
	net.Conn
	record []byte
}

func (c *slicedConn) Read(p []byte) (int, error) {
	if len(c.record) == 0 {
		var err error
		if c.record, err = readRecord(c.Conn); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.record)
	c.record = c.record[n:]
	return n, nil
}

// dialRecords makes a connection of a recordConn.
func (d *local) dialRecords() (*recordConn, *client) {
	d.t.Helper()
	c, err := shakeRecords(d.network, d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c, &client{d.t, c, bufio.NewReader(c)}
}

func shakeRecords(network, address string) (*recordConn, error) {
	nc, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	var secrets bytes.Buffer
	tc := tls.Client(&slicedConn{Conn: nc}, &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, KeyLogWriter: &secrets,
	})
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	if id := tc.ConnectionState().CipherSuite; id != tls.TLS_AES_128_GCM_SHA256 {
		return nil, fmt.Errorf("the suite is %s: this processor is not one for AES", tls.CipherSuiteName(id))
	}
	c := &recordConn{Conn: nc}
	for _, line := range strings.Split(secrets.String(), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		secret, err := hex.DecodeString(fields[2])
		if err != nil {
			return nil, err
		}
		switch fields[0] {
		case "CLIENT_TRAFFIC_SECRET_0":
			c.out = newRecordKey(secret)
		case "SERVER_TRAFFIC_SECRET_0":
			c.in = newRecordKey(secret)
		}
	}
	return c, nil
}

// An alertError is the last thing that a server has said.
type alertError byte

func (e alertError) Error() string { return fmt.Sprintf("the server sends alert %d", byte(e)) }

func (c *recordConn) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		record, err := readRecord(c.Conn)
		if err != nil {
			return 0, err
		}
		typ, content, err := c.in.open(record)
		switch {
		case err != nil:
			return 0, err
		case typ == dataRecord:
			c.plain = content
		case typ == alertRecord && content[1] == 0:
			return 0, io.EOF
		case typ == alertRecord:
			return 0, alertError(content[1])
		case content[0] == keyUpdate:
			c.in = c.in.next()
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *recordConn) Write(p []byte) (int, error) {
	return len(p), c.send(dataRecord, p, 0)
}

func (c *recordConn) send(typ byte, content []byte, padding int) error {
	_, err := c.Conn.Write(c.out.seal(typ, content, padding))
	return err
}

// updateKey goes on to the next key, with padding behind the word for it.
func (c *recordConn) updateKey(t *testing.T, padding int) {
	t.Helper()
	if err := c.send(handshakeRecord, []byte{keyUpdate, 0, 0, 1, 0}, padding); err != nil {
		t.Fatal(err)
	}
	c.out = c.out.next()
}

// forge sends a record of which a byte was changed on the way.
func (c *recordConn) forge() []byte {
	record := c.out.seal(dataRecord, []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n"), 0)
	record[10] ^= 1
	return record
}

// rejected checks that the server says bad_record_mac, under the right number,
// and closes the connection.
func (c *client) rejected() {
	c.t.Helper()
	if b, err := c.reader.ReadByte(); !errors.Is(err, alertError(20)) {
		c.t.Errorf("read %q, %v; want the alert that a record was forged", b, err)
	}
	if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("read %q, %v; want the end of the connection", b, err)
	}
}
