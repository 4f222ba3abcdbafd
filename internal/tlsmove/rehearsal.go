package tlsmove

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"time"
)

// rehearsalLimit bounds a rehearsal in which crypto/tls waits for what never
// comes. One that goes well takes a few milliseconds.
const rehearsalLimit = 10 * time.Second

var errRehearsal = errors.New("crypto/tls behaves differently")

// Rehearse returns, and finds out once in a process, what this package relies on
// in crypto/tls and did not find. Then nothing moves.
//
// Which secrets KeyLogWriter is told and when, that a record is written as soon
// as it is sealed, that a Read which is over time leaves no data behind, and what
// a KeyUpdate does: none of that is promised. So a client in memory shakes hands,
// speaks, updates its key and goes on after two moves, with both sides checking
// what they read.
var Rehearse = sync.OnceValue(func() error { return rehearse(func(*Conn) {}) })

// rehearse has meddle see the connection of crypto/tls before each export.
func rehearse(meddle func(*Conn)) error {
	for _, isNew := range []bool{true, false} {
		if err := rehearseOne(isNew, meddle); err != nil {
			return fmt.Errorf("%w: %w", errRehearsal, err)
		}
	}
	return nil
}

// rehearseOne moves a connection that isNew, or one that was used.
func rehearseOne(isNew bool, meddle func(*Conn)) error {
	config, err := rehearsalConfig()
	if err != nil {
		return err
	}
	near, far := newMemoryConn()
	defer time.AfterFunc(rehearsalLimit, func() { _ = near.Close() }).Stop()
	client := tls.Client(far, &tls.Config{
		InsecureSkipVerify: true, // it is in this very function
		MinVersion:         tls.VersionTLS13,
		NextProtos:         config.NextProtos,
	})
	server := Server(near, Config(config))
	if err := shakeHands(client, server); err != nil {
		return err
	}
	var peer net.Conn = client
	if !isNew {
		if err := talk(client, server); err != nil {
			return err
		}
		if peer, err = updateKeys(server, far); err != nil {
			return err
		}
	}
	meddle(server)
	for range 2 {
		if server, err = relocate(server, config); err != nil {
			return err
		}
		if err := talk(peer, server); err != nil {
			return err
		}
	}
	return nil
}

// rehearsalConfig is of a server with a certificate of its own.
func rehearsalConfig() (*tls.Config, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, public, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS13,
	}, nil
}

// shakeHands completes the handshake on both sides.
func shakeHands(client *tls.Conn, server *Conn) error {
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	err := server.HandshakeContext(context.Background())
	if err != nil {
		_ = server.nc.Close()
	}
	return errors.Join(err, <-shaken)
}

// talk sends some bytes each way, the client first.
func talk(client, server net.Conn) error {
	if err := say(client, server); err != nil {
		return err
	}
	return say(server, client)
}

// say sends sentences, a record each, of which one is as long as a KeyUpdate.
func say(from, to net.Conn) error {
	_ = to.SetReadDeadline(time.Time{})
	for _, sentence := range []string{"a request", "5 byt", "the last one"} {
		if _, err := io.WriteString(from, sentence); err != nil {
			return err
		}
		heard := make([]byte, 64)
		n, err := to.Read(heard)
		if err != nil {
			return err
		}
		if string(heard[:n]) != sentence {
			return fmt.Errorf("%q was read as %q", sentence, heard[:n])
		}
	}
	return nil
}

var longAgo = time.Unix(1, 0)

// updateKeys makes the client one of this package's record layer, since that of
// crypto/tls never begins a KeyUpdate, and has it ask for one.
func updateKeys(server *Conn, far net.Conn) (net.Conn, error) {
	t := server.tap
	t.mu.Lock()
	in, inErr := t.in.prove(t.suite)
	out, outErr := t.out.prove(t.suite)
	t.mu.Unlock()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, err
	}
	peer := &Conn{nc: far, adopted: &adopted{}}
	peer.adopted.raw, peer.adopted.in, peer.adopted.out = far, out, in
	if err := peer.adopted.writeLocked(typeHandshake, []byte{messageKeyUpdate, 0, 0, 1, 1}); err != nil {
		return nil, err
	}
	if err := peer.adopted.out.update(); err != nil {
		return nil, err
	}
	return peer, talk(peer, server)
}

// relocate wakes the server's Read, and moves it.
func relocate(server *Conn, config *tls.Config) (*Conn, error) {
	_ = server.SetReadDeadline(longAgo)
	if n, err := server.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("a read that is over time returns %d bytes and %w", n, err)
	}
	state, err := server.export()
	if err != nil {
		return nil, err
	}
	if _, err := server.Write([]byte("late")); !errors.Is(err, ErrMoved) {
		return nil, fmt.Errorf("a write after the export returns %w", err)
	}
	if err := server.Close(); err != nil {
		return nil, err
	}
	return adopt(context.Background(), server.nc, state, config)
}
