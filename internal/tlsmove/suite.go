package tlsmove

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"
)

// A suite is what a cipher suite of TLS 1.3 consists of (RFC 8446, B.4).
type suite struct {
	hash   func() hash.Hash
	secret int // bytes of a traffic secret, which is as long as the hash
	key    int
	aead   func(key []byte) (cipher.AEAD, error)
	mask   func(key, iv []byte) (mask, error) // which keeps both
	limit  uint64                             // how many records may be sealed under one key
}

// gcmLimit keeps within 2^24.5 full records under one key of AES-GCM
// (RFC 8446, 5.5). ChaCha20-Poly1305 has no limit but that of the sequence
// number, which must not wrap.
const (
	gcmLimit    = 1 << 24
	chachaLimit = 1 << 62
)

var errSuite = errors.New("unknown cipher suite")

func suiteOf(id uint16) (suite, error) {
	switch id {
	case tls.TLS_AES_128_GCM_SHA256:
		return suite{sha256.New, sha256.Size, 16, newGCM, gcmMask, gcmLimit}, nil
	case tls.TLS_AES_256_GCM_SHA384:
		return suite{sha512.New384, sha512.Size384, 32, newGCM, gcmMask, gcmLimit}, nil
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return suite{sha256.New, sha256.Size, chacha20poly1305.KeySize, chacha20poly1305.New, chachaMask, chachaLimit}, nil
	default:
		return suite{}, fmt.Errorf("%w %#04x", errSuite, id)
	}
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// A mask returns the byte at position at of what record seq is encrypted with:
// each of our AEADs is a stream cipher with a tag. It costs one block of the
// cipher, however long the record is.
type mask func(seq uint64, at int) byte

// gcmMask is of AES-GCM, whose data begins with block 2: block 1 is the tag's
// (NIST SP 800-38D, 7.1).
func gcmMask(key, iv []byte) (mask, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	b := make([]byte, aes.BlockSize)
	return func(seq uint64, at int) byte {
		setNonce(b, iv, seq)
		binary.BigEndian.PutUint32(b[len(iv):], uint32(2+at/aes.BlockSize))
		block.Encrypt(b, b)
		return b[at%aes.BlockSize]
	}, nil
}

// chachaMask is of ChaCha20-Poly1305, whose data begins with block 1: block 0
// is the tag's (RFC 8439, 2.8).
func chachaMask(key, iv []byte) (mask, error) {
	const blockSize = 64
	nonce, b := make([]byte, len(iv)), make([]byte, blockSize)
	return func(seq uint64, at int) byte {
		setNonce(nonce, iv, seq)
		c, err := chacha20.NewUnauthenticatedCipher(key, nonce)
		if err != nil { // a wrong length, which neither has
			return 0
		}
		c.SetCounter(uint32(1 + at/blockSize))
		clear(b)
		c.XORKeyStream(b, b)
		return b[at%blockSize]
	}, nil
}

// setNonce makes the nonce of record seq (RFC 8446, 5.3).
func setNonce(nonce, iv []byte, seq uint64) {
	low := nonce[copy(nonce, iv)-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^seq)
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
func (s suite) expand(secret []byte, label string, length int) ([]byte, error) {
	const prefix = "tls13 "
	info := binary.BigEndian.AppendUint16(make([]byte, 0, 32), uint16(length))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(append(info, prefix...), label...)
	info = append(info, 0)
	return hkdf.Expand(s.hash, secret, string(info), length)
}

// next returns the traffic secret after this one (RFC 8446, 7.2).
func (s suite) next(secret []byte) ([]byte, error) {
	return s.expand(secret, "traffic upd", s.secret)
}
