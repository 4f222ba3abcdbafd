package lifecycle_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// judge has the functions of config fail, from the second generation on, for
// clients that ask for it by the name of the server, or give a certificate.
func judge(config *tls.Config, generation int) {
	decide := func(function, name string) {
		what, ok := strings.CutSuffix(name, "-"+function)
		switch {
		case generation == 1 || !ok:
		case what == "panic":
			panic("no comment")
		case what == "hang":
			select {}
		case what == "exit":
			runtime.Goexit()
		}
	}
	config.ClientAuth = tls.RequestClientCert
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		decide("config", hello.ServerName)
		return nil, hello.Context().Err()
	}
	config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) > 0 {
			decide("certificate", "panic-certificate")
		}
		return nil
	}
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		decide("connection", cs.ServerName)
		return nil
	}
}

// TestMoveTLSJudges has functions of the program panic and hang when they
// decide about sessions that have moved. Those are closed, and no other.
func TestMoveTLSJudges(t *testing.T) {
	t.Parallel()
	d := startMovingTLS(t, "tcp", "HEIRLOOM_TEST_JUDGES=yes", "HEIRLOOM_TEST_HEADER=15s", "HEIRLOOM_TEST_LINGER=10m")
	dial := func(name string, certificates ...tls.Certificate) *client {
		c := d.dialWith(&tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}, Certificates: certificates})
		c.ask("/")
		c.answer(1)
		return c
	}
	config := selfSigned()
	judged := map[string]*client{"panic-certificate": dial("with.certificate", config.Certificates[0])}
	for _, name := range []string{"panic-config", "panic-connection", "hang-config", "hang-connection", "exit-connection"} {
		judged[name] = dial(name)
	}
	fine := dial("fine")
	d.reload()
	d.awaitAlone()
	fine.ask("/")
	fine.answer(2)
	for name, c := range judged {
		_ = c.SetReadDeadline(patience.Deadline(time.Minute))
		if b, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: read %q, %v; want the end of the session", name, b, err)
		}
	}
	d.eventually("the count", func() bool { return d.status().TLS.Stayed["refused"] == uint64(len(judged)) })
	d.eventually("the log to name each panic and each that hangs", func() bool { // which it may do later
		log := d.logged()
		return strings.Count(log, "no comment") == 3 && strings.Count(log, "do not return") == 2
	})
	d.reload() // what hangs keeps nobody
	d.awaitAlone()
	fine.ask("/")
	fine.answer(3)
	d.eventually("the predecessors to end", func() bool { return len(d.status().Predecessors) == 0 })
}
