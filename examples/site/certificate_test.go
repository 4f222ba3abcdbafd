package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// An authority renews the certificate of the site.
type authority struct {
	t      *testing.T
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	path   string // of its certificate, for clients
	serial int64  // of the last one
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), path: filepath.Join(t.TempDir(), "ca.pem"), serial: 1}
	der := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	var err error
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path, encode("CERTIFICATE", der), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(a.serial), time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 30)
	parent := a.root
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// renew writes a certificate with another key, and a key of no certificate.
func (a *authority) renew(m *sdtest.Machine) {
	a.t.Helper()
	a.serial++
	key := newKey(a.t)
	der := a.sign(&x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, key)
	m.WriteFile("/etc/site/cert.pem", string(encode("CERTIFICATE", der)), 0o644)
	m.MustRun("systemd-sysusers")
	for name, key := range map[string]*ecdsa.PrivateKey{"key.pem": key, "other.pem": newKey(a.t)} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			a.t.Fatal(err)
		}
		m.WriteFile("/etc/site/"+name, string(encode("PRIVATE KEY", der)), 0o400)
		m.MustRun("chown", "site", "/etc/site/"+name)
	}
}

// isShown checks that the site shows the last certificate.
func (a *authority) isShown(m *sdtest.Machine) {
	a.t.Helper()
	state, err := handshake(a.t, m, &tls.Config{RootCAs: a.pool(), ServerName: "localhost"})
	if err != nil || state.PeerCertificates[0].SerialNumber.Int64() != a.serial {
		a.t.Errorf("not the certificate of serial %d is shown, or %v", a.serial, err)
	}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// handshake sends a request over a connection of its own, and reads all that
// comes: the ticket comes after the handshake.
func handshake(t *testing.T, m *sdtest.Machine, config *tls.Config) (tls.ConnectionState, error) {
	raw, err := m.Dial(t.Context(), "tcp", "127.0.0.1:443")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	conn := tls.Client(raw, config)
	defer conn.Close()
	_ = conn.SetDeadline(patience.Deadline(30 * time.Second))
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = io.Copy(io.Discard, conn)
	return conn.ConnectionState(), err
}

// A session is one of TLS that a client resumes, with the tickets of TLS 1.2
// and of 1.3.
type session struct {
	t       *testing.T
	configs []*tls.Config
}

func newSession(a *authority) *session {
	s := &session{t: a.t}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s.configs = append(s.configs, &tls.Config{
			RootCAs: a.pool(), ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(0),
		})
	}
	return s
}

func (s *session) resume(m *sdtest.Machine, want bool) {
	s.t.Helper()
	for _, config := range s.configs {
		if state, err := handshake(s.t, m, config); err != nil || state.DidResume != want {
			s.t.Errorf("TLS %#x: resumed %t, want %t, or %v", config.MaxVersion, state.DidResume, want, err)
		}
	}
}
