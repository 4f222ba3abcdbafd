package selfsigned_test

import (
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// TestNew has a certificate that its own pool trusts, for both sides.
func TestNew(t *testing.T) {
	cert := selfsigned.New(func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) })
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	for _, name := range []string{"localhost", "127.0.0.1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			options := x509.VerifyOptions{DNSName: name, Roots: pool, KeyUsages: []x509.ExtKeyUsage{usage}}
			if _, err := cert.Leaf.Verify(options); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n := cert.Leaf.SerialNumber.Int64(); n != 7 {
		t.Errorf("serial number %d, want the one that it was changed to", n)
	}
}

func TestPEM(t *testing.T) {
	made := selfsigned.New()
	certificate, key := selfsigned.PEM(made)
	read, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil || !read.Leaf.Equal(made.Leaf) {
		t.Errorf("the files have another certificate, or none: %v", err)
	}
}
