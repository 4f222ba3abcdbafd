package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/certificate"
	"github.com/heirloom-go/heirloom/internal/rig/selfsigned"
)

// TestCheck takes a certificate to be there if one of the fields has it.
func TestCheck(t *testing.T) {
	if err := certificate.Check(new(tls.Config)); !errors.Is(err, certificate.ErrNone) {
		t.Errorf("got %v", err)
	}
	for name, config := range map[string]*tls.Config{
		"Certificates":       {Certificates: make([]tls.Certificate, 1)},
		"GetCertificate":     {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }},
	} {
		if err := certificate.Check(config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// write makes a certificate that signs itself, and returns its files.
func write(t *testing.T, from, until time.Time) (certFile, keyFile string) {
	t.Helper()
	cert, key := selfsigned.PEM(selfsigned.New(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }))
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string]string{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// TestRead has errors that name both files and say why.
func TestRead(t *testing.T) {
	now := time.Now()
	certFile, keyFile := write(t, now, now.Add(time.Hour))
	_, otherKey := write(t, now, now.Add(time.Hour))
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ certFile, keyFile, want string }{
		"whole":              {certFile, keyFile, ""},
		"no file":            {"/nowhere/cert.pem", keyFile, "no such file"},
		"no key":             {certFile, "/nowhere/key.pem", "no such file"},
		"empty":              {empty, keyFile, "PEM"},
		"the key of another": {certFile, otherKey, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := certificate.Read(test.certFile, test.keyFile)
			if test.want == "" {
				if err != nil || c.Leaf == nil {
					t.Error(c.Leaf, err)
				}
				return
			}
			if !errors.Is(err, certificate.ErrUnusable) {
				t.Fatalf("error %v does not match", err)
			}
			for _, want := range []string{test.want, test.certFile, test.keyFile} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if is := errors.Is(err, fs.ErrNotExist); is != strings.HasPrefix(test.want, "no such") {
				t.Errorf("%v is fs.ErrNotExist: %t", err, is)
			}
		})
	}
}

// TestWarn speaks of a certificate that clients refuse, and of no other.
func TestWarn(t *testing.T) {
	now := time.Now()
	for want, valid := range map[string][2]time.Time{
		"has expired":      {now.Add(-2 * time.Hour), now.Add(-time.Hour)},
		"is not valid yet": {now.Add(time.Hour), now.Add(2 * time.Hour)},
		"":                 {now.Add(-time.Hour), now.Add(time.Hour)},
	} {
		certFile, keyFile := write(t, valid[0], valid[1])
		c, err := certificate.Read(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		certificate.Warn(c, certFile, now, hclog.New(&hclog.LoggerOptions{Output: &out}))
		if got := out.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("said %q, want %q", got, want)
		}
	}
}
