package tlsmove

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"sync"
)

// Config returns a copy of config for Server. During its handshake a connection
// has a copy for itself, with a KeyLogWriter that tells the connection, and
// nobody else, its secrets: there is no other exported way to them. The
// KeyLogWriter of config is told too. A copy keeps the ticket keys of config
// (tls.Config.ticketKeys), so sessions resume as before.
//
// The callbacks of config see what they always saw, but for ClientHelloInfo.Conn
// being one of this package's, whose NetConn is what Server was given.
func Config(config *tls.Config) *tls.Config {
	base := config.Clone()
	slots := &sync.Pool{New: func() any { return newSlot(base) }}
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		var other *tls.Config
		if base.GetConfigForClient != nil {
			var err error
			if other, err = base.GetConfigForClient(hello); err != nil {
				return nil, err
			}
		}
		t, ok := hello.Conn.(*tap)
		switch {
		case !ok:
			return other, nil
		case other != nil:
			return newSlot(other).lend(t), nil
		}
		t.slot, t.slots = slots.Get().(*slot), slots
		return t.slot.lend(t), nil
	}
	return config
}

// A slot is a configuration for one handshake at a time. The connection keeps a
// reference to it, but after the handshake a server tells no more secrets
// (Config.writeKeyLog has no such caller), so the next one may have it.
type slot struct {
	config *tls.Config
	log    keyLog
}

func newSlot(of *tls.Config) *slot {
	s := &slot{config: of.Clone()}
	s.log.next = of.KeyLogWriter
	s.config.KeyLogWriter = &s.log
	return s
}

func (s *slot) lend(t *tap) *tls.Config {
	s.log.tap = t
	return s.config
}

// giveBack is called after the handshake.
func (t *tap) giveBack() {
	if t.slot != nil {
		t.slot.log.tap = nil
		t.slots.Put(t.slot)
		t.slot, t.slots = nil, nil
	}
}

// A keyLog is the KeyLogWriter of one connection.
type keyLog struct {
	tap  *tap
	next io.Writer // the program's own
}

// Write takes one line, in the format of NSS (tls.Config.writeKeyLog).
func (k *keyLog) Write(line []byte) (int, error) {
	if label, rest, ok := bytes.Cut(line, []byte(" ")); ok && k.tap != nil {
		if _, secret, ok := bytes.Cut(bytes.TrimSpace(rest), []byte(" ")); ok {
			k.tap.learn(string(label), secret)
		}
	}
	if k.next != nil {
		return k.next.Write(line)
	}
	return len(line), nil
}

// learn notes a secret, in hexadecimal.
func (t *tap) learn(label string, secret []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch label {
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		t.in.size = unhex(&t.in.earlier, secret)
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		t.out.size = unhex(&t.out.earlier, secret)
	case "CLIENT_TRAFFIC_SECRET_0":
		t.in.size = unhex(&t.in.secret, secret)
	case "SERVER_TRAFFIC_SECRET_0":
		t.out.size = unhex(&t.out.secret, secret)
	}
}

// unhex returns how long the secret is, or zero if it is none.
func unhex(to *[48]byte, secret []byte) uint8 {
	if hex.DecodedLen(len(secret)) > len(to) {
		return 0
	}
	n, err := hex.Decode(to[:], secret)
	if err != nil {
		return 0
	}
	return uint8(n)
}
