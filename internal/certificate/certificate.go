// Package certificate reads the certificate that a server shows, and looks
// whether it has one.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

var (
	// ErrUnusable is matched by the errors of Read.
	ErrUnusable = errors.New("cannot be used")
	// ErrNone is the error of Check.
	ErrNone = errors.New("TLSConfig has no certificate")
)

// Check returns ErrNone if config has neither a certificate nor a function that
// gets one. Serve of a server would say so too late: when this process has taken
// over.
func Check(config *tls.Config) error {
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return ErrNone
	}
	return nil
}

// Read reads a certificate, with those that certify it after it, and its key
// from files in PEM. The error names both: crypto/tls does not say in which
// file it finds nothing, and while only one of two is renewed neither is wrong.
func Read(certFile, keyFile string) (tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && c.Leaf == nil { // as with GODEBUG=x509keypairleaf=0
		c.Leaf, err = x509.ParseCertificate(c.Certificate[0])
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the certificate %s with the key %s %w: %w", certFile, keyFile, ErrUnusable, err)
	}
	return c, nil
}

// Warn logs that clients will refuse c, which was read from file, at that time.
// Whether that is worse than not to serve it does not decide.
func Warn(c tls.Certificate, file string, now time.Time, log hclog.Logger) {
	switch {
	case now.After(c.Leaf.NotAfter):
		log.Warn("the certificate has expired: clients will refuse it", "file", file, "expired", c.Leaf.NotAfter)
	case now.Before(c.Leaf.NotBefore):
		log.Warn("the certificate is not valid yet: clients will refuse it", "file", file, "valid from", c.Leaf.NotBefore)
	}
}
