package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A certificate is the one that this generation shows. One that was renewed is
// shown by the next.
type certificate struct{ tls.Certificate }

// readCertificate reads PEM files, or, if there are none, makes a certificate
// that no browser trusts.
func readCertificate(chain, key string) (*certificate, error) {
	if chain == "" {
		return selfSigned()
	}
	// It does not match a key of another certificate, also while only one of
	// the files is renewed.
	c, err := tls.LoadX509KeyPair(chain, key)
	return &certificate{c}, err
}

func selfSigned() (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}, err
}

func (c *certificate) until() time.Time { return c.Leaf.NotAfter }

func (c *certificate) String() string {
	return fmt.Sprintf("certificate of %v until %s", c.Leaf.DNSNames, c.until().Format(time.DateTime))
}

func (c *certificate) metric() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "site_certificate_end_timestamp_seconds", Help: "When the certificate ends."})
	g.Set(float64(c.until().Unix()))
	return g
}

// config returns what a server needs. The server makes a copy of it, which
// would keep the first keys for tickets; so each connection asks for the
// original.
func (c *certificate) config(t *tickets) *tls.Config {
	original := &tls.Config{
		Certificates: []tls.Certificate{c.Certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	t.use(original)
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return original, nil }}
}
