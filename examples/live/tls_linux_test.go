package main

import (
	"encoding/json"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
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
func writeCertificate(m *sdtest.Machine) {
	certificate, key := selfsigned.PEM(selfsigned.New())
	m.WriteFile("/etc/live/certificate.pem", certificate, 0o644)
	m.WriteFile("/etc/live/key.pem", key, 0o600)
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
