package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// tlsConf has the service speak TLS.
const tlsConf = `[Service]
LoadCredential=certificate:/etc/live/certificate.pem
LoadCredential=key:/etc/live/key.pem
ExecStart=
ExecStart=/usr/bin/live -certificate %d/certificate -key %d/key
`

// writeCertificate makes one that nobody trusts.
func writeCertificate(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	m.WriteFile("/etc/live/certificate.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	m.WriteFile("/etc/live/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
}

// checkSessions checks that the last generation was handed so many sessions.
func checkSessions(t *testing.T, m *sdtest.Machine, count int) {
	t.Helper()
	var status lifecycle.Status
	if err := json.Unmarshal([]byte(m.MustRun("/usr/bin/live", "status", "-json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.TLS == nil || status.TLS.Arrived < uint64(count) || status.Connections.Streams != count {
		t.Errorf("TLS %+v, connections %+v, want %d sessions that have arrived", status.TLS, status.Connections, count)
	}
}
