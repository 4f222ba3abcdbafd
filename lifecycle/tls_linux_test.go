package lifecycle_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"

	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// selfSigned makes a configuration for HTTP/1.1 over TLS.
func selfSigned() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{selfsigned.New()}, NextProtos: []string{"http/1.1"}}
}

func (d *local) dialTLS() *client {
	d.t.Helper()
	nc, err := tls.Dial(d.network, d.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = nc.Close() })
	return &client{d.t, nc, bufio.NewReader(nc)}
}

// trustClients has config accept clients with this certificate alone.
func trustClients(config *tls.Config, der []byte) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	config.ClientCAs.AddCert(certificate)
	return nil
}
